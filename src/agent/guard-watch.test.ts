import assert from "node:assert/strict";
import { test } from "node:test";
import { watchOverGuard } from "./guard-watch.ts";
import { createLogger } from "../base/log.ts";

test("a guard that ends is started again, also when that takes several attempts", async () => {
  const story: string[] = [];
  let gone = () => {};
  let failures = 2;
  const end = new AbortController();
  const guard = {
    ensure: async () => {
      story.push("ensure");
      if (failures-- > 0) throw new Error("not yet");
    },
    watch: (onGone: () => void) => {
      gone = onGone;
    },
  };
  let again = () => {};
  const looked = new Promise<void>((resolve) => (again = resolve));
  const onGone = () => {
    story.push("look again");
    if (story.length > 2) again();
  };
  watchOverGuard({ guard, onGone, log: createLogger({ write: () => {} }), signal: end.signal, retryMs: 1 });
  gone();
  await looked;
  end.abort();
  gone();
  assert.deepEqual(story, ["look again", "ensure", "ensure", "ensure", "look again"]);
});
