/** A fault, as a story on a stage: it happens, proves that it engaged, and ends. */
import type { Stage } from "./stage.ts";

export interface Fault {
  /** Letters and dashes: what the command line and the ledger call it. */
  readonly name: string;
  /** One sentence: what happens. */
  readonly title: string;
  /** The kind of guests that can have it; both if absent. */
  readonly only?: "process";
  /**
   * Brings the fault about, calls {@link Stage.engaged} with what proves that it was there, and ends it. When this resolves all nodes
   * have power and are connected, and the workload runs somewhere.
   */
  run(stage: Stage): Promise<void>;
}
