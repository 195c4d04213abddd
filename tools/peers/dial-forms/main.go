// Calls Probe on a unix socket in every form in which kubelet and the sidecars dial it, with grpc-go itself.
// Prints one line for each: the form, then "ok" or what went wrong.
//
//	dial-forms /path/to/csi.sock
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// To the path that is left when the scheme is gone, as kubelet and csi-lib-utils do.
func toSocket(ctx context.Context, target string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(target, "unix://"))
}

var dialer = grpc.WithContextDialer(toSocket)

func probe(conn *grpc.ClientConn, err error) error {
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return conn.Invoke(ctx, "/csi.v1.Identity/Probe", &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(true))
}

func newClient(target string, options ...grpc.DialOption) error {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return probe(grpc.NewClient(target, options...))
}

// The older call, which kubelet and csi-lib-utils still use; it takes a target without a scheme as it is.
func dial(target string, options ...grpc.DialOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return probe(grpc.DialContext(ctx, target, options...))
}

func main() {
	path := os.Args[1]
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		panic(err)
	}
	forms := []struct {
		name string
		err  error
	}{
		{"kubelet, CSI: bare path, authority localhost", dial(path, dialer, grpc.WithAuthority("localhost"))},
		{"kubelet, plugin manager: bare path", dial(path, dialer, grpc.WithBlock())},
		{"csi-lib-utils: unix:///path", dial("unix://"+path, dialer, grpc.WithBlock())},
		{"csi-sanity: unix:///path, authority localhost", dial("unix://"+path, grpc.WithAuthority("localhost"))},
		{"grpc-go: unix:///path", newClient("unix://" + path)},
		{"grpc-go: unix:path", newClient("unix:" + path)},
		{"grpc-go: unix:relative", newClient("unix:" + filepath.Base(path))},
		{"grpc-go: passthrough:///path", newClient("passthrough:///"+path, dialer)},
	}
	for _, form := range forms {
		said := "ok"
		if form.err != nil {
			said = form.err.Error()
		}
		fmt.Printf("%s: %s\n", form.name, said)
	}
}
