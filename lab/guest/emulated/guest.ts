/** An emulated guest: a whole machine in QEMU, with Debian's own binary kernel. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureQemu, qemuCommand } from "../../../tools/setup/qemu.ts";
import type { GuestContext } from "../context.ts";
import { createDriveFile } from "../drives.ts";
import { writeHostDir } from "../host-dir.ts";
import { Machine, type Launch } from "../machine.ts";
import { commandOf, qmpPathOf } from "./command.ts";
import { EmulatedDriveFaults } from "./drive-faults.ts";
import { qmp, type QmpCommand } from "./qmp.ts";
import { prepareSystem } from "./system.ts";

/** See {@link Machine}. Freezing stops the emulator: the guest's clocks jump when it is thawed, as in a machine that hung. */
export class EmulatedGuest extends Machine {
  readonly kind = "emulated";
  readonly driveFaults: EmulatedDriveFaults;
  protected override readonly bootLimitMs = 900_000;
  protected override readonly timeScale = 5;

  constructor(context: GuestContext) {
    super(context);
    this.driveFaults = new EmulatedDriveFaults(this.#qmpPath, context.drives);
  }

  /** Gives the emulator orders (QMP) and returns its answers. */
  monitor(commands: readonly QmpCommand[]): Promise<unknown[]> {
    return qmp(this.#qmpPath, commands);
  }

  /** Stops the machine and its clocks: to the guest no time passes until {@link resume}. */
  async pause(): Promise<void> {
    await this.monitor([{ execute: "stop" }]);
  }

  /** Lets a paused machine go on. */
  async resume(): Promise<void> {
    await this.monitor([{ execute: "cont" }]);
  }

  protected override async prepare(): Promise<Launch> {
    const { paths, drives, ...context } = this.context;
    const [{ root = "" }, system] = await Promise.all([ensureQemu(), prepareSystem(this.context)]);
    for (const drive of drives) createDriveFile(drive);
    if (paths.persist !== undefined) mkdirSync(paths.persist, { recursive: true });
    const hostDir = join(paths.own, "host");
    // The drives are there by themselves (PCI); init makes none.
    const settings = { ...context, drives: [], interfaces: { storage: "eth0", management: "eth1" }, backingOf: () => "" };
    writeHostDir(hostDir, settings, paths.execd);
    rmSync(this.#qmpPath, { force: true });
    const machine = { ...context, drives, consolePath: paths.console, qmpPath: this.#qmpPath, hostDir, shareDir: paths.share, persistDir: paths.persist };
    return { argv: commandOf(qemuCommand(root), machine, system) };
  }

  /** PCI drives appear while the guest boots, in no particular order. */
  protected override async afterBoot(): Promise<void> {
    const serials = this.context.drives.map(({ serial }) => `'${serial}'`).join(" ");
    await this.sh(`for serial in ${serials}; do
until for controller in /sys/class/nvme/nvme*; do
read -r found <"$controller/serial" && [ "$found" = "$serial" ] && ls -d "$controller"/nvme*n1 && break
done; do sleep 0.1; done
done >/dev/null 2>&1
udevadm settle --timeout=120`);
  }

  get #qmpPath(): string {
    return qmpPathOf(this.context.paths.sockets, this.name);
  }
}
