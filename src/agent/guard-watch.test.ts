import assert from "node:assert/strict";
import { test } from "node:test";
import { watchOverGuard } from "./guard-watch.ts";
import { createLogger } from "../base/log.ts";

test("a guard that ends is started again, also when that takes several attempts, and is watched anew", async () => {
  const story: string[] = [];
  const gone: (() => void)[] = [];
  let failures = 2;
  const end = new AbortController();
  const guard = {
    ensure: async () => {
      story.push("ensure");
      if (failures-- > 0) throw new Error("not yet");
    },
    watch: (onGone: () => void) => {
      story.push("watch");
      gone.push(onGone);
      if (gone.length === 2) watched();
    },
  };
  let watched = () => {};
  const again = new Promise<void>((resolve) => (watched = resolve));
  watchOverGuard({ guard, onGone: () => story.push("look again"), log: createLogger({ write: () => {} }), signal: end.signal, retryMs: 1 });
  gone[0]!();
  await again;
  end.abort();
  gone[1]!();
  assert.deepEqual(story, ["watch", "look again", "ensure", "ensure", "ensure", "look again", "watch"]);
});
