/** Where a history begins: a volume just requested, or a scene that the exhaustive search starts from. */
import type { Choices } from "../src/core/testing/choices.ts";
import { dropConnection } from "../src/core/testing/host.ts";
import { stageOn, unstageEverywhere } from "../src/core/testing/liveness.ts";
import type { ModelOptions } from "../src/core/testing/model.ts";
import { createWorld, detectLosses, powerOff, powerOn } from "../src/core/testing/model.ts";
import { inUse, rest, rounds, stepAll, write } from "../src/core/testing/scenes.ts";
import { flush, submit } from "../src/core/testing/md.ts";
import type { World } from "../src/core/testing/world.ts";
import { nodeOf } from "../src/core/testing/world.ts";
import { cloneWorld } from "./clone.ts";

export interface Scene {
  /** What has happened, in words. */
  tells: string;
  /** What kubelet will want, in this order. */
  wishes: readonly string[];
  placement: string[];
  make(): World;
}

function used(placement: string[]): World {
  const w = inUse("a", { placement });
  write(w, nodeOf(w, "a"));
  return w;
}

/** Copies on a and b, in use on a. */
const pair = ["a", "b"];

export const SCENES: Readonly<Record<string, Scene>> = {
  requested: {
    tells: "two copies are requested on a and b; kubelet wants the volume on a",
    wishes: ["a stage"],
    placement: pair,
    make: () => createWorld({ seed: 1, copies: 2, stripes: 1, placement: pair }),
  },
  "in-use": { tells: "two copies, in use on a, in sync; kubelet will end it", wishes: ["a unstage"], placement: pair, make: () => used(pair) },
  degraded: {
    tells: "two copies, in use on a; b was lost, missed a write, and is back",
    wishes: ["a unstage"],
    placement: pair,
    make: () => {
      const w = used(pair);
      powerOff(w, nodeOf(w, "b"));
      detectLosses(w);
      rounds(w, 6, 2_000);
      write(w, nodeOf(w, "a"));
      powerOn(w, nodeOf(w, "b"));
      return w;
    },
  },
  "half-written": {
    tells: "two copies, in use on a when a lost its power with a write on one of them; kubelet wants it on a again",
    wishes: ["a stage"],
    placement: pair,
    make: () => {
      const w = used(pair);
      const a = nodeOf(w, "a");
      const late = submit(w, a.arrays[0]!, 1);
      a.arrays[0]!.members[0]!.window.part.content[late.block] = late.value;
      for (const m of a.arrays[0]!.members) m.window.part.superblock!.bitmap.add(late.block);
      powerOff(w, a);
      powerOn(w, a);
      return w;
    },
  },
  moving: {
    tells: "two copies on a and b, used on a and stopped; kubelet wants the volume on c",
    wishes: ["c stage"],
    placement: pair,
    make: () => {
      const w = used(pair);
      unstageEverywhere(w);
      return w;
    },
  },
  starting: {
    tells: "two copies on a and b, used on a and stopped; c has begun to start it and is connected to both; kubelet changes its mind, twice",
    wishes: ["c unstage", "c stage"],
    placement: pair,
    make: () => {
      const w = used(pair);
      const c = nodeOf(w, "c");
      unstageEverywhere(w);
      c.wants = "stage";
      for (let i = 0; i < 500 && c.agent.session.connected.length < 2; i += 1) stepAll(w);
      return breakOff(w);
    },
  },
  "old-owner-returns": {
    tells: "two copies; a ran it, MD went on with a's copy alone for one write, and a lost its power; b runs it since, from its own copy; a is back",
    wishes: ["b unstage"],
    placement: pair,
    make: () => {
      const w = used(pair);
      const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
      submit(w, a.arrays[0]!, 1);
      dropConnection(w, a, a.conns[0]!);
      flush(w, a.arrays[0]!);
      powerOff(w, a);
      powerOn(w, a);
      a.wants = "none";
      rounds(w, 4);
      powerOff(w, a);
      stageOn(w, b);
      powerOn(w, a);
      return w;
    },
  },
  three: {
    tells: "three copies, in use on a, in sync; kubelet will end it",
    wishes: ["a unstage"],
    placement: ["a", "b", "c"],
    make: () => {
      const w = used(["a", "b", "c"]);
      rest(w, nodeOf(w, "a"));
      return w;
    },
  },
};

/** Every pass under way ends where it is, as one does that meets an error; what it did last is remembered by then. */
function breakOff(w: World): World {
  for (const n of w.nodes) Object.assign(n.agent, { pass: null, point: null, memory: null });
  return w;
}

const made = new Map<string, World>();

/** A world at the beginning of a history. */
export function beginningOf(beginning: Omit<ModelOptions, "seed"> & { seed?: number; placement: string[]; scene?: string }, choices: Choices): World {
  const { scene: name, copies, stripes, placement, guards = true, kind, seed = 0 } = beginning;
  if (name === undefined) {
    const world = createWorld({ seed, copies, stripes, placement, guards, ...(kind && { kind }) });
    world.rng = choices;
    return world;
  }
  const scene = SCENES[name];
  if (!scene) throw new Error(`no scene ${name}; there are ${Object.keys(SCENES).join(", ")}`);
  if (!made.has(name)) made.set(name, scene.make());
  return cloneWorld(made.get(name)!, choices);
}
