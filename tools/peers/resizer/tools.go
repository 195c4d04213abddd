//go:build tools

// Package tools pins the external-resizer, which tools/setup/peers.ts builds from its Go module.
// It is never compiled itself: the blank import only makes `go mod tidy` keep what the program needs.
package tools

import _ "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer"
