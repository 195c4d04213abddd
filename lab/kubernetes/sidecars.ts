/** The sidecars of the controller's pod, run beside it as the manifest runs them: the driver's socket, and an account of their own. */
import { NAMESPACE } from "../../src/api/names.ts";
import { ensurePeers, type Peer } from "../../tools/setup/peers.ts";
import type { Lab } from "../cluster.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { applyYaml, type Manifest } from "../control-plane/objects.ts";
import { HostProgram } from "./host-program.ts";

/** A sidecar that can be run. */
export type Sidecar = Exclude<Peer, "csi-sanity">;

/** Arguments besides socket and kubeconfig. Topology chooses where the first copies go; the volume can go anywhere later. */
const ARGUMENTS: Record<Sidecar, readonly string[]> = {
  "csi-provisioner": ["--default-fstype=xfs", "--extra-create-metadata", "--enable-capacity", "--capacity-ownerref-level=-1", "--retry-interval-start=500ms", "--timeout=60s"],
  "csi-resizer": ["--retry-interval-start=500ms", "--timeout=60s"],
  "csi-attacher": ["--timeout=60s"],
};

const read = ["get", "list", "watch"];
const rule = (group: string, resources: readonly string[], verbs: readonly string[]) => ({ apiGroups: [group], resources, verbs });

/** What each may do, as its own project says (deploy/kubernetes/rbac.yaml); snapshots and attachments, which we do not have, are left out. */
const RULES: Record<Sidecar, readonly object[]> = {
  "csi-provisioner": [
    rule("", ["persistentvolumes"], [...read, "create", "patch", "delete"]),
    rule("", ["persistentvolumeclaims"], [...read, "update"]),
    rule("storage.k8s.io", ["storageclasses", "csinodes", "volumeattributesclasses", "volumeattachments"], read),
    rule("", ["nodes"], read),
    rule("", ["events"], ["list", "watch", "create", "update", "patch"]),
    rule("storage.k8s.io", ["csistoragecapacities"], [...read, "create", "update", "patch", "delete"]),
  ],
  "csi-resizer": [
    rule("", ["persistentvolumes"], [...read, "patch"]),
    rule("", ["persistentvolumeclaims", "pods"], read),
    rule("", ["persistentvolumeclaims/status"], ["patch"]),
    rule("", ["events"], ["list", "watch", "create", "update", "patch"]),
    rule("storage.k8s.io", ["volumeattributesclasses"], read),
  ],
  "csi-attacher": [
    rule("", ["persistentvolumes"], [...read, "patch"]),
    rule("storage.k8s.io", ["csinodes"], read),
    rule("storage.k8s.io", ["volumeattachments"], [...read, "patch"]),
    rule("storage.k8s.io", ["volumeattachments/status"], ["patch"]),
  ],
};

/** Starts a sidecar on the controller's socket, as a service account that may do only what it must. */
export async function startSidecar(lab: Lab, plane: ControlPlane, name: Sidecar, socketPath: string): Promise<HostProgram> {
  const { [name]: path } = await ensurePeers([name]);
  const kubeconfig = await plane.kubeconfigFor(`system:serviceaccount:${NAMESPACE}:${name}`);
  await applyYaml(plane, rolesOf(name));
  const argv = ["env", `NAMESPACE=${NAMESPACE}`, `POD_NAME=${name}`, path, `--csi-address=${socketPath}`, `--kubeconfig=${kubeconfig}`, "--v=4", ...ARGUMENTS[name]];
  const program = new HostProgram(lab, { name, argv });
  program.start();
  return program;
}

function rolesOf(name: Sidecar): Manifest[] {
  const metadata = { name: `lab-${name}` };
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: metadata.name };
  return [
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata, rules: RULES[name] },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata, roleRef, subjects: [{ kind: "ServiceAccount", name, namespace: NAMESPACE }] },
  ];
}
