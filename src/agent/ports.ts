/** What the agent's loop needs of the outside, so that tests and the simulator can stand in for it. */
import type { HostAction } from "../core/action.ts";
import type { Drive, DriveTable, HostSnapshot } from "../core/observed.ts";

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
