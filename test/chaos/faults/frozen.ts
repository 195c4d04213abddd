/** Machines that stop as a whole and go on: every program on them believes that no time has passed. */
import { boundsOf, promiseOf } from "../../../src/core/bounds.ts";
import { sleep } from "../../../lab/world/wait.ts";
import type { Fault } from "../fault.ts";
import { Violation, type Stage } from "../stage.ts";

/** Longer than any keep-alive, shorter than the silence after which a node is replaced. */
const FROZEN_MS = 20_000;

export const FROZEN: readonly Fault[] = [
  {
    name: "owner-frozen-taken",
    title: "The owner freezes, is declared out of service and replaced, and goes on: it acknowledges nothing and its reads end.",
    run: async (stage) => {
      await frozenAndTaken(stage, async () => {
        await stage.outOfService(stage.home, true);
        await stage.takeOver(stage.other);
      });
      await stage.outOfService(stage.home, false);
    },
  },
  {
    name: "owner-frozen-silent-taken",
    title: "The owner freezes, is replaced when it has been silent for long enough, and goes on: it acknowledges nothing and its reads end.",
    run: (stage) => frozenAndTaken(stage, () => stage.takeOver(stage.other)),
  },
  {
    name: "owner-frozen",
    title: "The owner freezes for a while and goes on as owner.",
    run: async (stage) => {
      stage.begin("the owner freezes");
      await freeze(stage, stage.home);
      await sleep(FROZEN_MS);
      await stage.guest(stage.home).thaw();
      await stage.progress(50, 120);
    },
  },
  {
    name: "provider-frozen",
    title: "The provider freezes for a while and goes on.",
    run: async (stage) => {
      stage.begin("the provider freezes");
      await freeze(stage, stage.other);
      await stage.untilOut(stage.other);
      await stage.progress(50);
      await stage.guest(stage.other).thaw();
    },
  },
];

async function freeze(stage: Stage, node: string): Promise<void> {
  await stage.guest(node).freeze();
  stage.engaged(`${node} is frozen`);
}

/** The former owner goes on behind its takeover. What it may have acknowledged is looked for at the end of the case, with all else. */
async function frozenAndTaken(stage: Stage, takeOver: () => Promise<void>): Promise<void> {
  const zombie = stage.duty;
  stage.begin("the owner freezes");
  await freeze(stage, stage.home);
  zombie.frozenAtMs = Date.now();
  await takeOver();
  const thawedAt = Date.now();
  await stage.guest(stage.home).thaw();
  await stage.untilTornDown(stage.home);
  stage.engaged(`${stage.home} went on and stopped by itself`);
  const readsMs = zombie.registers.lastReadMs() - thawedAt;
  const promiseMs = promiseOf(boundsOf());
  stage.say(`its last read ended ${(readsMs / 1000).toFixed(1)} s after it went on; the bound is ${promiseMs / 1000} s`);
  if (readsMs > promiseMs) throw new Violation(`the former owner read for ${readsMs} ms after it went on, ${promiseMs} are allowed`);
}
