/**
 * Debian's own binary kernels for emulated guests: kernel image and modules as Debian ships them.
 * Modules of hardware that no guest has are left out, and all are stored uncompressed, because an
 * emulated CPU would spend seconds on unpacking them.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ensurePackages, unpackFromSuites } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

/** The kernel series that emulated guests can run. */
export type DebianKernelSeries = "6.12" | "7.2";

const SUITES: Record<DebianKernelSeries, readonly string[]> = { "6.12": ["trixie"], "7.2": ["trixie", "trixie-backports"] };

const TOOLS = ["kmod", "xz-utils", "zstd", "e2fsprogs", "debian-archive-keyring"];

/** Below /lib/modules/RELEASE/kernel; real hardware that QEMU's machine does not have. */
const LEFT_OUT = [
  "sound",
  ...[
    "accel",
    "accessibility",
    "bluetooth",
    "comedi",
    "firewire",
    "gpu",
    "hid",
    "hwmon",
    "iio",
    "input",
    "isdn",
    "media",
    "message",
    "mmc",
    "mtd",
    "platform",
    "staging",
    "thunderbolt",
    "usb",
  ].map((name) => `drivers/${name}`),
  ...["can", "ethernet", "phy", "usb", "wan", "wireless", "wwan"].map((name) => `drivers/net/${name}`),
];

/** What a guest needs before its root is there, or what nothing asks for by name; loaded in this order. */
const EARLY = ["virtio_blk", "virtio_net", "ext4", "overlay", "nvme", "9pnet_virtio", "9p", "configfs"];

/** A series as words of this set-up; throws for one that Debian kernels are not known of. */
export function debianKernelSeries(series: string): DebianKernelSeries {
  if (series in SUITES) return series as DebianKernelSeries;
  throw new Error(`no Debian kernel of series "${series}" is known; there are ${Object.keys(SUITES).join(", ")}`);
}

/**
 * Unpacks (once) Debian's kernel of a series.
 * @returns `kernel` (the image), `modules` (an ext4 image with usr/lib/modules), `early` (a directory
 * with the modules of the initramfs, named in the order of loading), `busybox` (static).
 */
export async function ensureDebianKernel(series: DebianKernelSeries): Promise<ResultPaths> {
  const dir = await ensureArtefact({
    name: "debian-kernel",
    version: series,
    recipe: [...SUITES[series], ...EARLY, ...LEFT_OUT],
    describe: `Debian's kernel ${series} for emulated guests: unpacking`,
    expected: "1 min",
    build: (into) => build(series, into),
  });
  return { kernel: join(dir, "vmlinuz"), modules: join(dir, "modules.ext4"), early: join(dir, "early"), busybox: join(dir, "busybox") };
}

/** The step that the registry lists for a series. */
export function debianKernelStep(series: DebianKernelSeries): SetupStep {
  return { name: `debian-kernel-${series}`, describe: `Debian's kernel ${series} for emulated guests`, ensure: () => ensureDebianKernel(series) };
}

async function build(series: DebianKernelSeries, into: string): Promise<void> {
  await ensurePackages(TOOLS);
  const work = join(into, "work");
  mkdirSync(work);
  await unpackFromSuites(SUITES[series], (options) => kernelPackages(series, options), work);
  const modulesDir = join(work, "usr/lib/modules");
  const release = readdirSync(modulesDir)[0] ?? "";
  // Later packages keep the image beside the modules, earlier ones in /boot.
  const image = [join(work, "boot", `vmlinuz-${release}`), join(modulesDir, release, "vmlinuz")].find((path) => existsSync(path));
  if (image === undefined) throw new Error(`Debian's kernel ${series}: no kernel image for "${release}"`);
  renameSync(image, join(into, "vmlinuz"));
  renameSync(join(work, "usr/bin/busybox"), join(into, "busybox"));
  const tree = join(work, "tree");
  mkdirSync(join(tree, "usr/lib/modules"), { recursive: true });
  renameSync(join(modulesDir, release), join(tree, "usr/lib/modules", release));
  await prepareModules(tree, release);
  await copyEarlyModules(tree, release, join(into, "early"));
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-L", "lab-modules", "-d", tree, join(into, "modules.ext4"), await imageSize(tree)]);
  writeFileSync(join(into, "release"), `${release}\n`);
  rmSync(work, { recursive: true });
}

async function prepareModules(tree: string, release: string): Promise<void> {
  const modules = join(tree, "usr/lib/modules", release);
  for (const path of LEFT_OUT) rmSync(join(modules, "kernel", path), { recursive: true, force: true });
  for (const [ending, program] of [
    ["xz", ["xz", "--decompress"]],
    ["zst", ["zstd", "-q", "--decompress", "--rm"]],
  ] as const) {
    const quiet = `find "$0" -name '*.ko.${ending}' -print0 | nice xargs -0 -r -n 64 -P 2 ${program.join(" ")}`;
    await run(["sh", "-euc", quiet, modules]);
  }
  await run(["depmod", "-b", join(tree, "usr"), release]);
}

/** Copies the early modules and all they depend on, numbered in an order in which insmod takes them. */
async function copyEarlyModules(tree: string, release: string, into: string): Promise<void> {
  mkdirSync(into);
  const plan = await run(["modprobe", "--dirname", join(tree, "usr"), "--set-version", release, "--show-depends", "--ignore-install", "--all", ...EARLY]);
  const files = new Set([...plan.matchAll(/^insmod (\S+)/gm)].map(([, path]) => path ?? ""));
  [...files].forEach((path, at) => copyFileSync(path, join(into, `${String(at).padStart(2, "0")}-${basename(path)}`)));
}

async function imageSize(tree: string): Promise<string> {
  const kib = Number((await run(["du", "-sk", tree])).split("\t")[0]);
  return `${Math.ceil(kib * 1.1) + 16_384}k`;
}

/** The packages that hold image and modules of the newest kernel of a series. */
async function kernelPackages(series: DebianKernelSeries, options: readonly string[]): Promise<string[]> {
  const names = (await run(["apt-cache", ...options, "pkgnames", "linux-image-"])).split("\n");
  const pattern = new RegExp(`^linux-image-${series.replace(".", "\\.")}\\.(\\d+)\\+deb\\d+-amd64$`);
  const newestFirst = names.filter((name) => pattern.test(name)).sort((a, b) => Number(pattern.exec(b)?.[1]) - Number(pattern.exec(a)?.[1]));
  const image = newestFirst[0];
  if (image === undefined) throw new Error(`suite ${SUITES[series].at(-1)} has no kernel of series ${series}`);
  // Later kernels are split: linux-image-X depends on linux-binary-X and linux-modules-X.
  const depends = await run(["apt-cache", ...options, "depends", "--important", image]);
  const suffix = image.slice("linux-image-".length);
  const parts = [...depends.matchAll(/Depends: (\S+)/g)].map(([, name]) => name ?? "").filter((name) => name.endsWith(suffix) && /^linux-(binary|modules)-/.test(name));
  return [image, ...parts, `busybox-static/${SUITES[series][0]}`];
}
