/** What the agent's loop needs of the outside, so that tests and the simulator can stand in for it. */
import type { HostAction } from "../core/action.ts";
import type { Bounds } from "../core/bounds.ts";
import type { Peers } from "../core/judge.ts";
import type { Drive, DriveTable, HostSnapshot } from "../core/observed.ts";
import type { VolumeView } from "../core/view.ts";

/** The node's kernel. */
export interface HostPort {
  observe(): Promise<HostSnapshot>;
  readDriveTable(drive: Drive): Promise<DriveTable>;
  /** Changes when a drive or its partitions change; read from sysfs only. */
  fingerprint(drive: Drive): Promise<string>;
  /** Writes an empty GPT on a drive that carries nothing at all. */
  initializeDrive(drive: Drive): Promise<void>;
  apply(action: HostAction, onProgress: (fraction: number) => void): Promise<void>;
  /** True if every listed NVMe controller still answers `live`; cheap, asked several times a second. */
  controllersLive(controllers: readonly string[]): Promise<boolean>;
  /** Members that each of these arrays lacks, as MD counts them; 0 where there is no such array. As cheap. */
  degraded(arrays: readonly string[]): Promise<number[]>;
}

/** What this node knows of others, and what it promises them (decision 0011). */
export interface TakeoverPort {
  peers(): Peers;
  bounds: Bounds;
  /** What this node promises with a claim; null: no guard runs on this host (Z16). */
  promiseMs: number | null;
  /** Another node asks for the volume, kubelet of this node is dead, and every pod that the volume is published to is gone. */
  unattended(view: VolumeView): boolean;
}

/** Called around every action; tests kill the process here. */
export interface StepHook {
  (moment: "before" | "after", kind: string): void;
}

/** Monotonic and wall time, and fresh UUIDs. */
export interface Clock {
  nowMs(): number;
  isoNow(): string;
  newID(): string;
}
