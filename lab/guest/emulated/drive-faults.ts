/** Faults of an emulated guest's drives, made by QEMU below its NVMe controller. */
import type { Drive } from "../drives.ts";
import type { DriveFaults } from "../guest.ts";
import { driveId, driveNode, fileNodeOf } from "./command.ts";
import { qmp, type QmpCommand, type QmpOptions } from "./qmp.ts";

const SECTOR = 512;

/** More rules than this make QEMU slow; each fails the requests that touch one sector. */
const MOST_SECTORS = 4096;

/** Where requests fail: what kind, and at which sector of the drive (everywhere without one). */
interface Rule {
  readonly iotype: "read" | "write";
  readonly sector?: number;
}

/**
 * See {@link DriveFaults}. A flush is never failed nor held. A kernel whose requests hang resets the
 * controller after nvme_core.io_timeout (30 s); QEMU then ends those requests, and later ones hang again.
 */
export class EmulatedDriveFaults implements DriveFaults {
  readonly #qmpPath: string;
  readonly #drives: readonly Drive[];

  constructor(qmpPath: string, drives: readonly Drive[]) {
    this.#qmpPath = qmpPath;
    this.#drives = drives;
  }

  async hang(index: number): Promise<void> {
    // Every byte counts as a request and one a second may pass. The first one passes anyway: a read of our own.
    const first = { execute: "human-monitor-command", arguments: { "command-line": `qemu-io -d ${driveId(index)} "aio_read -q 0 1M"` } };
    await this.#order([throttle(index, { iops: 1, iops_size: 1 }), first]);
  }

  fail(index: number): Promise<void> {
    return this.#inject(index, [{ iotype: "read" }, { iotype: "write" }]);
  }

  failWrites(index: number): Promise<void> {
    return this.#inject(index, [{ iotype: "write" }]);
  }

  failRange(index: number, start: number, sectors: number): Promise<void> {
    if (sectors > MOST_SECTORS) throw new Error(`at most ${MOST_SECTORS} sectors of an emulated drive can fail, not ${sectors}`);
    const numbers = Array.from({ length: sectors }, (_, at) => start + at);
    return this.#inject(
      index,
      numbers.flatMap((sector): Rule[] => [
        { iotype: "read", sector },
        { iotype: "write", sector },
      ]),
    );
  }

  async heal(index: number): Promise<void> {
    const nodes = (await this.#order([throttle(index, { iops: 0 }), { execute: "query-named-block-nodes", arguments: { flat: true } }]))[1];
    if (!(nodes as { "node-name": string }[]).some((node) => node["node-name"] === faultNodeOf(index))) return;
    await this.#order([this.#reopen(index, fileNodeOf(index)), { execute: "blockdev-del", arguments: { "node-name": faultNodeOf(index) } }]);
  }

  /** Takes the drive out of its slot; resolves when the guest has let go of it. */
  async pull(index: number): Promise<void> {
    const device = driveId(index);
    await this.#order([{ execute: "device_del", arguments: { id: device } }], { until: { event: "DEVICE_DELETED", data: { device } }, timeoutMs: 60_000 });
  }

  async #inject(index: number, rules: readonly Rule[]): Promise<void> {
    await this.heal(index);
    const offset = this.#drive(index).offset / SECTOR;
    const node = {
      driver: "blkdebug",
      "node-name": faultNodeOf(index),
      image: fileNodeOf(index),
      "inject-error": rules.map(({ iotype, sector }) => ({ event: "none", iotype, errno: 5, once: false, ...(sector === undefined ? {} : { sector: sector + offset }) })),
    };
    await this.#order([{ execute: "blockdev-add", arguments: node }, this.#reopen(index, faultNodeOf(index))]);
  }

  /** Puts another node below the drive while it is in use. */
  #reopen(index: number, below: string): QmpCommand {
    return { execute: "blockdev-reopen", arguments: { options: [driveNode(this.#drive(index), index, below)] } };
  }

  #drive(index: number): Drive {
    const drive = this.#drives[index];
    if (drive === undefined) throw new Error(`there is no drive ${index}`);
    return drive;
  }

  #order(commands: readonly QmpCommand[], options?: QmpOptions): Promise<unknown[]> {
    return qmp(this.#qmpPath, commands, options);
  }
}

function faultNodeOf(index: number): string {
  return `${driveId(index)}-fault`;
}

function throttle(index: number, limits: { readonly iops: number; readonly iops_size?: number }): QmpCommand {
  const all = { bps: 0, bps_rd: 0, bps_wr: 0, iops_rd: 0, iops_wr: 0, ...limits };
  return { execute: "block_set_io_throttle", arguments: { id: driveId(index), ...all } };
}
