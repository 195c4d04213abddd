/**
 * Histories for both sides, drawn from a seed: a list of events from outside, with `settle` where both sides come to rest and
 * are compared. They are made of episodes (something breaks, the application writes, it is mended), each chosen where the
 * model stands then, those first that were told the least so far.
 */
import { prng } from "../../src/core/testing/prng.ts";
import type { Choices } from "../../src/core/testing/choices.ts";
import type { Facts } from "./facts.ts";
import { REGISTERS } from "./facts.ts";
import { ModelSide } from "./model-side.ts";

export interface ModelHistory {
  seed: number;
  copies: number;
  episodes: string[];
  /** Events in order; at each `settle` the next of `facts` holds. */
  events: string[];
  facts: Facts[];
  /** Actions that the model carried out, with how often. */
  actions: Record<string, number>;
}

/** Who is who where an episode begins: the owner, another node that holds a copy in R, the third. */
interface Cast {
  o: string;
  p: string;
  t: string;
  /** Copies. */
  copies: number;
  /** The owner holds one itself. */
  local: boolean;
}

/** W stands for a write to a register that is drawn, S for `settle`. */
const EPISODES: Readonly<Record<string, { when?: (cast: Cast) => boolean; tell: (cast: Cast) => string[] }>> = {
  "provider loses power": { tell: ({ p }) => [`off ${p}`, "W", "S", "W", `on ${p}`, "S"] },
  "provider's drive is pulled": { tell: ({ p }) => [`pull ${p}`, "W", "S", `off ${p}`, `on ${p}`, "S"] },
  "owner's drive is pulled": { when: (c) => c.local, tell: ({ o }) => [`pull ${o}`, "W", "S", "W", `unstage ${o}`, "S", `off ${o}`, `on ${o}`, `stage ${o}`, "S"] },
  "network cut both ways": { tell: ({ o, p }) => [`cut ${o} ${p}`, "W", "S", "heal", "S"] },
  "network cut from owner to provider": { tell: ({ o, p }) => [`cutoneway ${o} ${p}`, "W", "S", "heal", "S"] },
  "network cut from provider to owner": { tell: ({ o, p }) => [`cutoneway ${p} ${o}`, "W", "S", "heal", "S"] },
  "network cut between others": { when: (c) => c.copies === 2, tell: ({ p, t }) => [`cut ${p} ${t}`, "W", "S", "heal", "S"] },
  "provider's agent dies": { tell: ({ p }) => [`kill ${p}`, "W", "S", `start ${p}`, "S"] },
  "owner's agent dies": { tell: ({ o }) => [`kill ${o}`, "W", "S", `start ${o}`, "S"] },
  "owner's agent dies, then the provider": { tell: ({ o, p }) => [`kill ${o}`, `off ${p}`, `start ${o}`, "W", "S", `on ${p}`, "S"] },
  "provider does not reach the API": { tell: ({ p }) => [`mute ${p}`, "W", "S", "heal", "S"] },
  "owner does not reach the API": { tell: ({ o }) => [`mute ${o}`, "W", "S", "heal", "S"] },
  "API away while the provider is lost": { tell: ({ p }) => ["mute all", `off ${p}`, "S", "heal", "W", "S", `on ${p}`, "S"] },
  "owner loses power, and goes on": { tell: ({ o }) => ["W", `off ${o}`, `on ${o}`, "S", `stage ${o}`, "W", "S"] },
  "owner loses power, another goes on": { tell: ({ o, p }) => ["W", `off ${o}`, `on ${o}`, "S", `stage ${p}`, "W", "S"] },
  "owner is declared out of service": { tell: ({ o, p }) => ["W", `off ${o}`, `taint ${o}`, `stage ${p}`, "W", "S", `on ${o}`, `untaint ${o}`, "S"] },
  "owner is cut off from everybody": { when: (c) => c.copies === 2, tell: ({ o, p }) => ["W", `isolate ${o}`, `stage ${p}`, "W", "S", "heal", "S"] },
  "moved to the other copy": { tell: ({ o, p }) => ["W", `unstage ${o}`, "S", `stage ${p}`, "W", "S"] },
  "moved to the third node": { when: (c) => c.copies === 2, tell: ({ o, t }) => ["W", `unstage ${o}`, `stage ${t}`, "W", "S"] },
  "moved while a copy is away": { tell: ({ o, p }) => [`off ${p}`, "W", "S", `unstage ${o}`, `stage ${o}`, "W", "S", `on ${p}`, "S"] },
  "all lose power": { tell: ({ o, p, t }) => ["W", `off ${o}`, `off ${p}`, `off ${t}`, `on ${o}`, `on ${p}`, `on ${t}`, "S", `stage ${o}`, "W", "S"] },
  "provider stands still": { tell: ({ p }) => [`freeze ${p}`, "W", "S", `thaw ${p}`, "S"] },
  "a connection is deleted by hand": { tell: ({ o }) => [`drop ${o}`, "W", "S"] },
  "provider loses power twice": { tell: ({ p }) => [`off ${p}`, "W", `on ${p}`, "S", `off ${p}`, "W", "S", `on ${p}`, "S"] },
};

export const EPISODE_NAMES: readonly string[] = Object.keys(EPISODES);

/** Tells a history in the model, and writes it down; `told` counts the episodes of all histories so far. */
export function makeHistory(seed: number, told: Map<string, number>, length = 2): ModelHistory {
  const rng = prng(seed);
  const copies = rng.chance(0.25) ? 3 : 2;
  const model = new ModelSide(["a", "b", "c"].slice(0, copies));
  const made = { events: [] as string[], facts: [] as Facts[], episodes: [] as string[] };
  let writes = 0;
  const carryOut = (short: string) => {
    if (short === "W") writes += 1;
    const event = short === "S" ? "settle" : short === "W" ? `write ${rng.pick(REGISTERS)} ${writes}` : short;
    made.events.push(event);
    model.event(event);
    if (event === "settle") made.facts.push(model.facts());
  };
  for (const event of ["S", "stage a", "S"]) carryOut(event);
  for (let i = 0; i < length; i += 1) {
    const cast = castOf(model, copies);
    const name = choose(cast, rng, told);
    told.set(name, (told.get(name) ?? 0) + 1);
    made.episodes.push(name);
    for (const event of EPISODES[name]!.tell(cast)) carryOut(event);
  }
  for (const event of ["W", `unstage ${castOf(model, copies).o}`, "S", "delete"]) carryOut(event);
  const actions: Record<string, number> = {};
  for (const { kind } of model.world.trace) actions[kind] = (actions[kind] ?? 0) + 1;
  return { seed, copies, ...made, actions };
}

function castOf(model: ModelSide, copies: number): Cast {
  const { owner, R } = model.facts();
  if (owner === null) throw new Error("an episode ended without an owner");
  const p = R.find((name) => name !== owner);
  if (p === undefined) throw new Error("an episode ended without a second copy");
  return { o: owner, p, t: ["a", "b", "c"].find((name) => name !== owner && name !== p)!, copies, local: R.includes(owner) };
}

function choose(cast: Cast, rng: Choices, told: ReadonlyMap<string, number>): string {
  const possible = EPISODE_NAMES.filter((name) => EPISODES[name]!.when?.(cast) ?? true);
  const least = Math.min(...possible.map((name) => told.get(name) ?? 0));
  return rng.pick(possible.filter((name) => (told.get(name) ?? 0) === least));
}
