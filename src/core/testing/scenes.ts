/** Scenes for tests: a world brought to where a story begins, what was done in it, and what would be done next. */
import type { ActionKind } from "../action.ts";
import type { Plan, PlanInput } from "../plan-types.ts";
import { plan } from "../plan.ts";
import { inputFor } from "./agent.ts";
import { VOLUME_NAME, VOLUME_UID } from "./builders.ts";
import { snapshotOf } from "./host-snapshot.ts";
import { isHealthy, round, stageOn, until } from "./liveness.ts";
import { flush, submit } from "./md.ts";
import type { ModelOptions } from "./model.ts";
import { createWorld, kubeletAsks, stepAgent } from "./model.ts";
import { advance } from "./time.ts";
import type { NodeState, World } from "./world.ts";
import { clockOf, latest, nodeOf } from "./world.ts";

/** A volume of these nodes, staged on `owner` and at rest. */
export function inUse(owner: string, options: Partial<ModelOptions> & { placement: string[] }): World {
  const w = createWorld({ seed: 1, copies: options.placement.length, stripes: 1, ...options });
  // A table test shall not change with the number of draws before it.
  for (const n of w.nodes) n.clock = { rate: 1, offsetMs: 0 };
  w.rng = { ...w.rng, shuffle: (list) => [...list], chance: () => false };
  stageOn(w, nodeOf(w, owner));
  rest(w, nodeOf(w, owner));
  return w;
}

/** Until the volume is healthy and nobody has anything to do. */
export function rest(w: World, owner: NodeState): void {
  until(w, `a healthy volume on node ${owner.name}`, () => isHealthy(w, owner), { ms: 10_000 });
}

/** Everybody's turn, a few times. */
export function rounds(w: World, times: number, ms = 1_000): void {
  for (let i = 0; i < times; i += 1) round(w, ms);
}

/** Kinds that one node carried out since a mark; provider's and owner's part alike. */
export function doneBy(w: World, node: string, since = 0): ActionKind[] {
  return w.trace.slice(since).flatMap((t) => (t.node === node ? [t.kind] : []));
}

/** Kinds that all nodes carried out since a mark, as `node kind`. */
export function doneByAll(w: World, since = 0): string[] {
  return w.trace.slice(since).map((t) => `${t.node} ${t.kind}`);
}

/** What a node is given now; the cache is up to date unless told. */
export function inputOf(w: World, n: NodeState, change: Partial<PlanInput> = {}): PlanInput {
  const host = snapshotOf(n, { name: VOLUME_NAME, uid: VOLUME_UID }, clockOf(w, n));
  return { ...inputFor(w, n, latest(w)!, host), ...change };
}

/** What a node would do next. */
export function nextOf(w: World, n: NodeState, change: Partial<PlanInput> = {}): Plan {
  return plan(inputOf(w, n, change));
}

/** Every node's agent goes on by a single step, with all news. */
export function stepAll(w: World): void {
  advance(w, 10);
  for (const n of w.nodes) {
    n.agent.cache = w.api.versions.length - 1;
    kubeletAsks(n);
    stepAgent(w, n);
  }
}

export function isStaged(n: NodeState): boolean {
  return n.mounts.some((m) => !m.published);
}

/** The application writes every mirror's block and waits for the answer; false if it has to wait. */
export function write(w: World, n: NodeState, block = 1): boolean {
  let done = true;
  for (const array of n.arrays) {
    if (!array.writes.some((x) => x.block === block)) submit(w, array, block);
    done = flush(w, array) && done;
  }
  return done;
}
