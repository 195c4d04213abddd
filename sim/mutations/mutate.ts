/** All planted faults by name. */
import type { Protocol } from "../../src/core/testing/world.ts";
import { HEAL } from "./heal.ts";
import type { Mutation } from "./mutation.ts";
import { OWNER } from "./owner.ts";
import { RELEASE } from "./release.ts";
import { RETURN } from "./return.ts";
import { START } from "./start.ts";

export const MUTATIONS: Readonly<Record<string, Mutation>> = { ...RELEASE, ...START, ...OWNER, ...RETURN, ...HEAL };

/** The protocol with one fault planted. */
export function mutated(name: string, protocol: Protocol): Protocol {
  const mutation = MUTATIONS[name];
  if (!mutation) throw new Error(`no planted fault ${name}; there are ${Object.keys(MUTATIONS).join(", ")}`);
  return mutation.plant(protocol);
}
