/** How V8's heap grows once a program has begun (decision 0017). */
import { setFlagsFromString } from "node:v8";

/**
 * From now on the heap may grow by a fifth of what lives in it, and is collected then. Not from the start: a program
 * that grows from nothing would be collected ten times before it has begun.
 */
export function growSlowly(): void {
  setFlagsFromString("--heap-growing-percent=20");
}
