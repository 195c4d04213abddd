/** One operation per volume at a time; the second is told so at once (CSI: ABORTED) and comes back later. */
import { MeshStorError } from "../base/errors.ts";

interface Holder {
  operation: string;
  since: number;
}

/** The operations under way, by volume. */
export class VolumeLocks {
  readonly #held = new Map<string, Holder>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Runs `work` as the only operation on the volume. @throws MeshStorError Busy if another is under way. */
  async run<T>(volumeID: string, operation: string, work: () => Promise<T>): Promise<T> {
    const holder = this.#held.get(volumeID);
    if (holder) {
      const seconds = Math.round((this.#now() - holder.since) / 1000);
      throw new MeshStorError("Busy", `volume ${volumeID}: ${holder.operation} is under way, for ${seconds} s`);
    }
    this.#held.set(volumeID, { operation, since: this.#now() });
    try {
      return await work();
    } finally {
      this.#held.delete(volumeID);
    }
  }
}
