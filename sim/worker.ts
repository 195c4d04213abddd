/** A thread of a run (pool.ts): it is given tasks, and answers each. */
import { parentPort } from "node:worker_threads";
import type { Proof } from "./proof.ts";
import { prove } from "./proof.ts";
import type { SeedsOptions, SeedsResult } from "./seeds.ts";
import { runSeeds } from "./seeds.ts";

export type Task = { kind: "seeds"; options: SeedsOptions } | { kind: "proof"; mutation: string; seeds: number };

export interface Answer {
  seeds: SeedsResult;
  proof: Proof;
}

parentPort?.on("message", (task: Task) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort!.postMessage(task.kind === "seeds" ? runSeeds(task.options) : prove([task.mutation], task.seeds)[0]!);
});
