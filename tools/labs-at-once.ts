/** How many labs a machine bears side by side. */
import { availableParallelism } from "node:os";

/** $MESHSTOR_LABS_AT_ONCE, else one more than there are cores: a lab waits for time-outs a third of its time. */
export function labsAtOnce(): number {
  return Math.max(1, Number(process.env["MESHSTOR_LABS_AT_ONCE"] ?? availableParallelism() + 1));
}
