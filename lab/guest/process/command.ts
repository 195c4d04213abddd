/** The command line of a process guest: a User Mode Linux kernel and what it is given. */
import { macOf, tapsOf } from "../../net/addresses.ts";
import { journalled, journalPathOf, type Drive } from "../drives.ts";

/** What a process guest boots from and with. */
export interface Boot {
  readonly kernel: string;
  readonly rootImage: string;
  readonly memoryMiB: number;
  readonly index: number;
  readonly name: string;
  readonly drives: readonly Drive[];
  /** Host directories the guest sees as /lab/host (read-only), /lab/share (read-only), /var/lib/lab. */
  readonly hostDir: string;
  readonly shareDir: string;
  readonly persistDir: string | undefined;
  /** Directory for the kernel's own sockets. */
  readonly umlDir: string;
  /** More kernel parameters. */
  readonly cmdline: string;
}

/** The device behind drive `index`; ubda is the root. */
export function backingOf(index: number): string {
  return `/dev/ubd${String.fromCharCode("b".charCodeAt(0) + index)}`;
}

/** Kernel program and arguments; throws for paths that UML's own syntax cannot carry. */
export function commandOf(boot: Boot): string[] {
  const taps = tapsOf(boot.index);
  const disks = [...boot.drives.map((drive) => drive.path), ...journalled(boot.drives).map(journalPathOf)];
  const paths = [boot.rootImage, ...disks, boot.hostDir, boot.shareDir, boot.persistDir ?? ""];
  const bad = paths.find((path) => /[,:\s]/.test(path));
  if (bad !== undefined) throw new Error(`${bad}: a process guest cannot use a path with a comma, colon or blank`);
  if (disks.length > 15) throw new Error(`guest ${boot.name}: at most 15 drives and journals`);
  return [
    boot.kernel,
    `mem=${boot.memoryMiB}M`,
    `uml_dir=${boot.umlDir}/`,
    `umid=${boot.name}`,
    "con=null",
    "con0=null,fd:1",
    "ssl=null",
    "console=tty0",
    "panic=-1",
    `ubd0rc=${boot.rootImage}`,
    ...disks.map((path, index) => `ubd${index + 1}=${path}`),
    "root=/dev/ubda",
    "rootfstype=ext4",
    "ro",
    "init=/lab/init/stage1",
    `vec0:transport=tap,ifname=${taps.storage},depth=128,gro=1,mac=${macOf(boot.index, "storage")}`,
    `vec1:transport=tap,ifname=${taps.management},depth=128,gro=1,mac=${macOf(boot.index, "management")}`,
    "lab.kind=process",
    `lab.host=${boot.hostDir}`,
    `lab.share=${boot.shareDir}`,
    ...(boot.persistDir === undefined ? [] : [`lab.persist=${boot.persistDir}`]),
    ...boot.cmdline.split(/\s+/).filter((word) => word !== ""),
  ];
}
