//go:build tools

// Package tools pins the Helm with which the chart is tested (tools/setup/helm.ts). It is never
// compiled itself: the blank import only makes `go mod tidy` keep every module that Helm needs.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
