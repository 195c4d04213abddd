//go:build tools

// Package tools pins the external-provisioner, which tools/setup/peers.ts builds from its Go module.
// It is never compiled itself: the blank import only makes `go mod tidy` keep what the program needs.
package tools

import _ "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner"
