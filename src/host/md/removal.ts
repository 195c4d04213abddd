/**
 * How newer kernels take a stopped array's device away (6.12 knows no such choice). The old way, Y, a named array's stays
 * for ever (seen on 7.2), and the next time mdadm gives the array a number, which no udev rule of ours knows; the new way,
 * N, mdadm before 4.5 cannot assemble. So: N to stop, Y to make or assemble; nothing else depends on it. The parameter
 * (md_mod.legacy_async_del_gendisk, drivers/md/md.c) is the whole host's, and volumes work side by side: stops and starts
 * never at once.
 */
import { serially } from "../serial.ts";
import { OneKind } from "./one-kind.ts";

/** The kernel's parameter. */
export interface RemovalParameter {
  /** "Y" or "N"; null on a kernel without it. */
  read(): Promise<string | null>;
  write(value: "Y" | "N"): Promise<void>;
}

export class Removal {
  readonly #parameter: RemovalParameter;
  readonly #ways = new OneKind<"stops" | "starts">();
  #stopping = 0;

  constructor(parameter: RemovalParameter) {
    this.#parameter = parameter;
  }

  /** Runs `work` with the parameter as it has to be, and leaves it as the kernel has it by default; on a kernel without it at once. */
  async run<T>(way: "stops" | "starts", work: () => Promise<T>): Promise<T> {
    if ((await this.#parameter.read()) === null) return work();
    if (way === "starts") return this.#ways.run(way, () => this.#settle().then(work));
    return this.#ways.run(way, async () => {
      this.#stopping += 1;
      try {
        await this.#settle();
        return await work();
      } finally {
        this.#stopping -= 1;
        await this.#settle();
      }
    });
  }

  /** Looks at how many stop when its turn comes: a stop that begins while the last one ends gets its N. */
  #settle(): Promise<void> {
    return serially("md removal", async () => {
      const wanted = this.#stopping > 0 ? "N" : "Y";
      if ((await this.#parameter.read()) !== wanted) await this.#parameter.write(wanted);
    });
  }
}
