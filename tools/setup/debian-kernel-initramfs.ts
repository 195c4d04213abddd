/** The initramfs of emulated guests: busybox, the modules needed before the root is there, and our /init. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensurePackages } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { type DebianKernelSeries, ensureDebianKernel } from "./debian-kernel.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

const INIT = fileURLToPath(new URL("../../lab/guest/emulated/initramfs-init", import.meta.url));

/** Builds (once) the initramfs for a kernel series; returns it as `initramfs`, with all that {@link ensureDebianKernel} returns. */
export async function ensureEmulatedBoot(series: DebianKernelSeries): Promise<ResultPaths> {
  const paths = await ensureDebianKernel(series);
  const { early = "", busybox = "" } = paths;
  const dir = await ensureArtefact({
    name: "emulated-initramfs",
    version: series,
    recipe: [early, readFileSync(INIT, "utf8")],
    describe: `initramfs ${series} for emulated guests: building`,
    expected: "1 s",
    build: (into) => build(into, early, busybox),
  });
  return { ...paths, initramfs: join(dir, "initramfs.cpio") };
}

/** The step that the registry lists for a series. */
export function emulatedBootStep(series: DebianKernelSeries): SetupStep {
  return { name: `emulated-boot-${series}`, describe: `Debian's kernel ${series} and initramfs for emulated guests`, ensure: () => ensureEmulatedBoot(series) };
}

async function build(into: string, early: string, busybox: string): Promise<void> {
  await ensurePackages(["cpio"]);
  const tree = join(into, "tree");
  for (const dir of ["bin", "dev", "proc", "sys", "root", "modules"]) mkdirSync(join(tree, dir), { recursive: true });
  install(busybox, join(tree, "bin/busybox"));
  symlinkSync("busybox", join(tree, "bin/sh"));
  install(INIT, join(tree, "init"));
  mkdirSync(join(tree, "early"));
  for (const name of readdirSync(early)) install(join(early, name), join(tree, "early", basename(name)));
  // Not compressed: an emulated CPU reads faster than it unpacks.
  await run(["sh", "-euc", 'cd "$0" && find . | cpio --quiet --format=newc --create >"$1"', tree, join(into, "initramfs.cpio")]);
  rmSync(tree, { recursive: true });
}

function install(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}
