/** What a stock Debian host boots: its own disk, and the kernel and initramfs that this disk holds now. */
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DEBIAN_HOST_KERNEL, DEBIAN_HOST_LABEL, ensureDebianHost } from "../../../tools/setup/debian-host.ts";
import { run } from "../../../tools/setup/run.ts";
import type { GuestContext } from "../context.ts";
import type { EmulatedSystem } from "./command.ts";

/** Gives the host a disk of its own at its first boot; does what its boot loader would do at every boot. */
export async function prepareDebianHost(context: GuestContext, cmdline: readonly string[]): Promise<EmulatedSystem> {
  if (context.kernel !== DEBIAN_HOST_KERNEL) throw new Error(`${context.name}: a stock Debian host has kernel ${DEBIAN_HOST_KERNEL}, not ${context.kernel}`);
  const disk = join(context.paths.own, "root.disk");
  if (!existsSync(disk)) {
    const { disk: image = "" } = await ensureDebianHost();
    await run(["cp", "--sparse=always", "--reflink=auto", image, `${disk}.new`]);
    renameSync(`${disk}.new`, disk);
  }
  return {
    kernel: await takeFromBoot(disk, "vmlinuz", context.paths.own),
    initramfs: await takeFromBoot(disk, "initrd.img", context.paths.own),
    cmdline: [...cmdline, `root=LABEL=${DEBIAN_HOST_LABEL}`, "ro", context.cmdline],
    disks: [{ path: disk, readOnly: false }],
  };
}

/** Copies the newest /boot/NAME-RELEASE out of a disk image; like a boot loader it reads the file system as it is. */
async function takeFromBoot(disk: string, name: string, into: string): Promise<string> {
  const listing = await run(["debugfs", "-R", "ls -p /boot", disk]);
  // Lines are /inode/mode/uid/gid/name/size/.
  const names = listing.split("\n").map((line) => line.split("/")[5] ?? "");
  const newest = names
    .filter((file) => file.startsWith(`${name}-`))
    .sort()
    .at(-1);
  if (newest === undefined) throw new Error(`${disk} has no /boot/${name}-*`);
  const target = join(into, name);
  await run(["debugfs", "-R", `dump /boot/${newest} ${target}`, disk]);
  return target;
}
