//go:build tools

// Package tools pins the Kubernetes programs that the lab builds from Go modules
// (tools/setup/kubernetes.ts). It is never compiled itself: the blank imports only make
// `go mod tidy` keep every module these programs need in go.mod and go.sum.
//
// Nothing else may be required here: another requirement (csi-test, say) can lift the
// CSI specification to a version with which kubelet 1.36 does not compile.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
