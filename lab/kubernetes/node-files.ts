/** The configuration of containerd, CNI and kubelet on a Kubernetes node of the lab. */
import { stringify } from "yaml";

import { TOOLS_IMAGE } from "../../tools/setup/tools-image.ts";

/** Where the container runtime answers. */
export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";

/** containerd's configuration: one image for all sandboxes, Debian's place for CNI's plugins. */
export function containerdConfig(): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return [
    "version = 2",
    `[${cri}]`,
    `sandbox_image = "${TOOLS_IMAGE}"`,
    "disable_apparmor = true",
    `[${cri}.containerd]`,
    'snapshotter = "overlayfs"',
    `[${cri}.containerd.runtimes.runc]`,
    'runtime_type = "io.containerd.runc.v2"',
    `[${cri}.cni]`,
    'bin_dir = "/usr/lib/cni"',
    'conf_dir = "/etc/cni/net.d"',
    "",
  ].join("\n");
}

/** The network of a node's pods; `index` is the guest's (1, 2, ...). */
export function podNetwork(index: number): string {
  return `10.79.${index}.0/24`;
}

/** CNI's configuration: pods of a node are on a bridge of their own. */
export function cniConfig(index: number): string {
  const ipam = { type: "host-local", ranges: [[{ subnet: podNetwork(index) }]], routes: [{ dst: "0.0.0.0/0" }] };
  const bridge = { type: "bridge", bridge: "pods", isGateway: true, ipam };
  return JSON.stringify({ cniVersion: "0.4.0", name: "lab", plugins: [bridge] });
}

/** What kube-proxy would do for the one service that pods of the lab use, the API server; and a way out for pods. */
export function nftRules(server: string, port: number): string {
  const toServer = `ip daddr 10.96.0.1 tcp dport 443 dnat to ${server}:${port}`;
  const chain = (name: string, hook: string, rule: string) => [`  chain ${name} {`, `    type nat hook ${hook}`, `    ${rule}`, "  }"];
  return [
    "table ip lab-pods {",
    ...chain("before", "prerouting priority dstnat", toServer),
    ...chain("out", "output priority dstnat", toServer),
    ...chain("after", "postrouting priority srcnat", 'ip saddr 10.79.0.0/16 oifname "eth0" masquerade'),
    "}",
    "",
  ].join("\n");
}

/** kubelet's configuration; what it leaves out are things that a process guest's kernel does not have, or that a lab does not need. */
export function kubeletConfig(): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: "cgroupfs",
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    // The kernel has no CFS bandwidth control.
    cpuCFSQuota: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    evictionHard: {},
    imageGCHighThresholdPercent: 100,
    resolvConf: "",
    maxPods: 30,
    // Whoever waits for a pod waits for these.
    syncFrequency: "10s",
    nodeStatusUpdateFrequency: "5s",
  });
}
