/** What an emulated guest boots: kernel, initramfs and disks. */
import { debianKernelSeries } from "../../../tools/setup/debian-kernel.ts";
import { ensureEmulatedBoot } from "../../../tools/setup/debian-kernel-initramfs.ts";
import { ensureRootfs, type RootKind } from "../../../tools/setup/rootfs.ts";
import type { GuestContext } from "../context.ts";
import type { EmulatedSystem } from "./command.ts";
import { prepareDebianHost } from "./debian-host.ts";

/** Parameters of every emulated kernel; the emulated CPU has none of the flaws that mitigations slow it down for. */
const COMMON = ["console=ttyS0", "panic=-1", "net.ifnames=0", "mitigations=off"];

/** Makes what a guest boots; see {@link GuestContext.root}. */
export function prepareSystem(context: GuestContext): Promise<EmulatedSystem> {
  return context.root === "debian-host" ? prepareDebianHost(context, COMMON) : prepareLabRoot(context, context.root);
}

/** The lab's shared read-only root (as process guests have it) with Debian's kernel and modules. */
async function prepareLabRoot(context: GuestContext, root: RootKind): Promise<EmulatedSystem> {
  const [boot, { image = "" }] = await Promise.all([ensureEmulatedBoot(debianKernelSeries(context.kernel)), ensureRootfs(root)]);
  const { kernel = "", initramfs = "", modules = "" } = boot;
  const persist = context.paths.persist === undefined ? [] : ["lab.persist=1"];
  return {
    kernel,
    initramfs,
    cmdline: [...COMMON, "lab.kind=emulated", ...persist, context.cmdline],
    disks: [image, modules].map((path) => ({ path, readOnly: true })),
  };
}
