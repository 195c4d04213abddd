/** All faults there are. */
import type { Fault } from "./fault.ts";
import { CACHE } from "./faults/cache.ts";
import { CONTROL } from "./faults/control.ts";
import { DRIVE } from "./faults/drive.ts";
import { FROZEN } from "./faults/frozen.ts";
import { LINK } from "./faults/link.ts";
import { NETWORK } from "./faults/network.ts";
import { POWER } from "./faults/power.ts";

export const FAULTS: readonly Fault[] = [...POWER, ...FROZEN, ...NETWORK, ...CONTROL, ...DRIVE, ...CACHE, ...LINK];

/** A fault by its name; an error that names them all if there is none. */
export function faultOf(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault === undefined) throw new Error(`no fault "${name}"; there are: ${FAULTS.map((each) => each.name).join(", ")}`);
  return fault;
}
