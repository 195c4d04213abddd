/** A process guest: a User Mode Linux kernel that runs as a process on the host. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureRootfs, type RootKind } from "../../../tools/setup/rootfs.ts";
import { ensureUmlKernel, type KernelSeries } from "../../../tools/setup/uml-kernel.ts";
import { createDriveFile } from "../drives.ts";
import { writeHostDir } from "../host-dir.ts";
import { Machine, type Launch } from "../machine.ts";
import { backingOf, commandOf } from "./command.ts";
import { onOneProcessor } from "./processor.ts";

/** See {@link Machine}. */
export class ProcessGuest extends Machine {
  readonly kind = "process";

  protected override async prepare(): Promise<Launch> {
    const { paths, drives, kernel, root, ...context } = this.context;
    const [{ kernel: program }, { image }] = await Promise.all([ensureUmlKernel(kernel as KernelSeries), ensureRootfs(root as RootKind)]);
    if (program === undefined || image === undefined) throw new Error("set-up gave no kernel or no root image");
    for (const drive of drives) createDriveFile(drive);
    if (paths.persist !== undefined) mkdirSync(paths.persist, { recursive: true });
    const hostDir = join(paths.own, "host");
    writeHostDir(hostDir, { ...context, drives, interfaces: { storage: "vec0", management: "vec1" }, backingOf }, paths.execd);
    const umlDir = join(paths.own, "uml");
    rmSync(umlDir, { recursive: true, force: true });
    mkdirSync(umlDir);
    const argv = commandOf({ ...context, kernel: program, rootImage: image, drives, hostDir, shareDir: paths.share, persistDir: paths.persist, umlDir });
    return { argv: onOneProcessor(argv, this.context.index, this.bootCount === 0), env: { TMPDIR: memoryDir(), HOME: paths.own } };
  }
}

/** A tmpfs for the guest's memory file; on a disk every page written would reach it. */
function memoryDir(): string {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const isTmpfs = (dir: string): boolean => new RegExp(` ${dir} tmpfs `).test(mounts);
  for (const dir of [process.env["TMPDIR"] ?? "/tmp", "/dev/shm"]) if (isTmpfs(dir)) return dir;
  throw new Error("no tmpfs for guests' memory: neither $TMPDIR nor /dev/shm is one");
}
