/**
 * `tools/node tools/setup/main.ts [STEP|GROUP]...`: makes what the project's programs need.
 * Without arguments it does everything. Costs nothing when it is all there.
 */
import { debianHostStep } from "./debian-host.ts";
import { emulatedBootStep } from "./debian-kernel-initramfs.ts";
import { ensureImageBase } from "../image.ts";
import { helmStep } from "./helm.ts";
import { ensureClusterPrograms, ensureControlPlanePrograms } from "./kubernetes.ts";
import { ensureDialForms, ensurePeers } from "./peers.ts";
import { ensureGeneratedCsi } from "./proto.ts";
import { qemuStep } from "./qemu.ts";
import { ensureGuestDebian, nodeRootfsStep, rootfsStep } from "./rootfs.ts";
import { say } from "./progress.ts";
import type { SetupStep } from "./step.ts";
import { toolsImageStep } from "./tools-image.ts";
import { umlKernelStep } from "./uml-kernel.ts";

/** Every step; add yours here and, where it belongs to one, to a group. */
const STEPS: readonly SetupStep[] = [
  {
    name: "csi",
    describe: "CSI types",
    ensure: async () => {
      await ensureGeneratedCsi();
      return {};
    },
  },
  { name: "guest-debian", describe: "Debian for guests", ensure: () => ensureGuestDebian() },
  rootfsStep,
  nodeRootfsStep,
  toolsImageStep,
  umlKernelStep("6.12"),
  umlKernelStep("7.2"),
  qemuStep,
  emulatedBootStep("6.12"),
  emulatedBootStep("7.2"),
  debianHostStep,
  { name: "control-plane", describe: "etcd and Kubernetes API server", ensure: async () => ({ ...(await ensureControlPlanePrograms()) }) },
  helmStep,
  { name: "image-base", describe: "Debian's tools and Node.js for the container image", ensure: async () => ({ layers: await ensureImageBase() }) },
  { name: "cluster", describe: "controller-manager and scheduler", ensure: () => ensureClusterPrograms() },
  { name: "dial-forms", describe: "grpc-go's forms of dialling", ensure: async () => ({ program: await ensureDialForms() }) },
  { name: "csi-sanity", describe: "csi-sanity", ensure: () => ensurePeers(["csi-sanity"]) },
  { name: "sidecars", describe: "external-provisioner and external-resizer", ensure: () => ensurePeers(["csi-provisioner", "csi-resizer"]) },
  { name: "attacher", describe: "external-attacher, which we do not need", ensure: () => ensurePeers(["csi-attacher"]) },
];

const LAB = ["csi", "guest-root", "uml-kernel-6.12", "control-plane"];
/** What stories with real kubelets and sidecars need besides. */
const PEERS = ["guest-root-kubernetes", "tools-image", "cluster", "csi-sanity", "sidecars", "attacher"];

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  guest: ["guest-root", "uml-kernel-6.12"],
  emulated: ["guest-root", "qemu", "emulated-boot-6.12"],
  lab: LAB,
  test: [...LAB, ...PEERS, "qemu", "debian-host", "helm", "image-base", "dial-forms"],
  e2e: [...LAB, ...PEERS],
  all: STEPS.map((step) => step.name),
};

function stepsFor(words: readonly string[]): SetupStep[] {
  const names = words.flatMap((word) => GROUPS[word] ?? [word]);
  return names.map((name) => {
    const step = STEPS.find((known) => known.name === name);
    if (step !== undefined) return step;
    throw new Error(`no step or group "${name}"; there are ${[...Object.keys(GROUPS), ...STEPS.map(({ name: known }) => known)].join(", ")}`);
  });
}

const asked = process.argv.slice(2);
for (const step of stepsFor(asked.length === 0 ? ["all"] : asked)) {
  const paths = await step.ensure();
  say(`${step.describe}: ready${Object.values(paths).length === 0 ? "" : ` (${Object.values(paths).join(", ")})`}`);
}
