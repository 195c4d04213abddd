//go:build tools

// Package tools pins the Go modules that carry the interface files of others: csi.proto and
// kubelet's plugin registration proto (tools/setup/proto.ts). It is never compiled: the blank
// imports only make `go mod tidy` keep the two modules.
//
// CSI 1.12 and not 1.13, because 1.13 removes VolumeCondition, which kubelet 1.36 reads.
package tools

import (
	_ "github.com/container-storage-interface/spec/lib/go/csi"
	_ "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)
