/** What a control plane runs besides its API server: the controllers that bind volumes and make pods, and the scheduler. */
import { join } from "node:path";

import { ensureClusterPrograms } from "../../tools/setup/kubernetes.ts";
import type { Lab } from "../cluster.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { HostProgram } from "./host-program.ts";

/** Started, in the lab's network, on the API server's first address. */
export async function startControlPrograms(lab: Lab, plane: ControlPlane): Promise<HostProgram[]> {
  const paths = await ensureClusterPrograms();
  const keys = join(plane.dir, "keys");
  const kubeconfig = `--kubeconfig=${plane.kubeconfigPath}`;
  const common = [kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1"];
  const manager = [
    paths["kube-controller-manager"],
    ...common,
    // Tokens of service accounts, and the certificate that pods know the API server by.
    `--service-account-private-key-file=${join(keys, "service-account.key")}`,
    `--root-ca-file=${join(keys, "ca.crt")}`,
  ];
  const programs = [
    new HostProgram(lab, { name: "kube-controller-manager", argv: manager }),
    new HostProgram(lab, { name: "kube-scheduler", argv: [paths["kube-scheduler"], ...common] }),
  ];
  for (const program of programs) program.start();
  return programs;
}
