/** Several threads that carry out tasks, so that a run uses all processors. */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Answer, Task } from "./worker.ts";

/** As many threads as this machine runs at a time. */
export const WORKERS = availableParallelism();

/** Carries out tasks on `workers` threads, in any order; `next` gives another one, or null once there is none, and `done` is told each answer. */
export async function onThreads<T extends Task>(workers: number, next: () => T | null, done: (task: T, answer: Answer[T["kind"]]) => void): Promise<void> {
  await Promise.all(Array.from({ length: workers }, () => oneThread(next, done)));
}

async function oneThread<T extends Task>(next: () => T | null, done: (task: T, answer: Answer[T["kind"]]) => void): Promise<void> {
  let task = next();
  if (task === null) return;
  const worker = new Worker(new URL("worker.ts", import.meta.url));
  try {
    for (; task !== null; task = next()) {
      const answer = once(worker, "message");
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(task);
      done(task, ((await answer) as [Answer[T["kind"]]])[0]);
    }
  } finally {
    await worker.terminate();
  }
}
