/**
 * Children and file accesses that did not end in time and cannot be killed (D state): counted, and
 * a breaker that refuses new storage commands while too many are out. A hung drive must cost a
 * bounded number of processes and pool threads, not one more with every pass of the loop.
 */
import { MeshStorError } from "../base/errors.ts";

/** With this many stranded children, commands that do not release anything are refused. */
export const STRANDED_LIMIT = 16;
/** With this many stranded children in one lane (a drive, an export), that lane is refused. */
export const LANE_LIMIT = 2;

/** One stranded child or file access. */
export interface Stranded {
  what: string;
  lane: string;
  sinceMs: number;
}

/** The set of what is stranded now; one for the whole process ({@link stranded}). */
export class StrandedSet {
  readonly #open = new Set<Stranded>();

  /** Adds one; the returned function takes it out again when it did end after all. */
  add(what: string, lane: string): () => void {
    const entry = { what, lane, sinceMs: performance.now() };
    this.#open.add(entry);
    return () => void this.#open.delete(entry);
  }

  get count(): number {
    return this.#open.size;
  }

  list(): readonly Stranded[] {
    return [...this.#open];
  }

  /**
   * Throws CommandTimedOut if a new command may not be started: the lane is full, or too many are
   * stranded in all and the command is not one that releases what hangs.
   */
  admit(lane: string, releases: boolean): void {
    const inLane = lane === "" ? [] : this.list().filter((s) => s.lane === lane);
    if (inLane.length >= LANE_LIMIT) throw new MeshStorError("CommandTimedOut", `${lane} does not answer: '${inLane[0]!.what}' has not ended`);
    if (releases || this.count < STRANDED_LIMIT) return;
    throw new MeshStorError("CommandTimedOut", `${this.count} host commands hang and cannot be killed, the first is '${this.list()[0]!.what}': no new one is started`);
  }
}

export const stranded = new StrandedSet();
