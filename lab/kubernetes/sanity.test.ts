import assert from "node:assert/strict";
import { test } from "node:test";

import { readReport, summaryOf } from "./sanity.ts";

test("a report is read spec by spec, and counted", () => {
  const spec = (State: string, Message?: string) => ({
    LeafNodeType: "It",
    ContainerHierarchyTexts: ["Node Service", "NodeGetInfo"],
    LeafNodeText: State,
    State,
    RunTime: 2_500_000,
    Failure: { Message },
  });
  const suite = { LeafNodeType: "BeforeSuite", ContainerHierarchyTexts: null, LeafNodeText: "", State: "passed", RunTime: 1 };
  const specs = readReport(JSON.stringify([{ SpecReports: [suite, spec("passed"), spec("skipped", "not offered"), spec("panicked", "nil"), spec("timedout"), spec("pending")] }]));
  const each = (outcome: string, state: string, why: string) => ({ name: `Node Service NodeGetInfo ${state}`, outcome, why, ms: 3 });
  assert.deepEqual(specs, [
    each("passed", "passed", ""),
    each("skipped", "skipped", "not offered"),
    each("failed", "panicked", "nil"),
    each("failed", "timedout", "timedout"),
    each("pending", "pending", "pending"),
  ]);
  assert.equal(summaryOf(specs), "1 passed, 2 failed, 1 skipped, 1 pending of 5");
});
