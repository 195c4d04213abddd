import assert from "node:assert/strict";
import { test } from "node:test";
import { MiB } from "../base/units.ts";
import type { Action } from "./action.ts";
import { boundsOf } from "./bounds.ts";
import { endJob } from "./testing/agent.ts";
import { grow } from "./testing/controller.ts";
import { VOLUME_NAME } from "./testing/builders.ts";
import { checkWorld } from "./testing/invariants.ts";
import { detectLosses, kubeletAsks, powerOff, powerOn, stepAgent } from "./testing/model.ts";
import type { Wrong } from "./testing/mutation.ts";
import { doneBy, inputOf, inUse, isStaged, nextOf, rest, stepAll } from "./testing/scenes.ts";
import { isolate } from "./testing/stories.ts";
import { advance } from "./testing/time.ts";
import { nodeOf, statusOf, type World } from "./testing/world.ts";

const { freshGraceMs } = boundsOf();

/** A volume in use on node a that grows; its agent is about to give the device its longer table. */
function grown(wrong: Wrong = {}): World {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  w.wrong = wrong;
  const { agent } = nodeOf(w, "a");
  grow(w, 64 * MiB);
  for (let i = 0; i < 2_000 && agent.point?.kind !== "GrowVolumeDevice"; i += 1) {
    stepAll(w);
    w.nodes.forEach((n) => endJob(w, n));
  }
  assert.deepEqual(agent.point, { moment: "before", kind: "GrowVolumeDevice" });
  return w;
}

/** Then it sleeps, cut off from everybody, until b has taken the volume over; and goes on. */
function sleptOver(wrong?: Wrong): World {
  const w = grown(wrong);
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  isolate(w, a);
  b.wants = "stage";
  for (let i = 0; i < 2_000 && !isStaged(b); i += 1) {
    advance(w, 200);
    endJob(w, b);
    b.agent.cache = w.api.versions.length - 1;
    kubeletAsks(b);
    stepAgent(w, b);
  }
  assert.deepEqual([isStaged(b), a.volumeDevice?.suspended], [true, true], "engaged: taken over while the former owner slept, suspended by its guard");
  stepAgent(w, a);
  return w;
}

test("an owner that slept before it gave its device the longer table ends no suspend of the guard's (I10)", () => {
  const w = sleptOver();
  checkWorld(w);
  const { agent, volumeDevice } = nodeOf(w, "a");
  assert.deepEqual([volumeDevice?.suspended, agent.last?.error?.code], [true, "Unsafe"]);
  const onAnyProof = (action: Action): Action => (action.kind === "GrowVolumeDevice" ? { ...action, notAfterMs: null } : action);
  const wrong = sleptOver({ plan: (plan) => ({ ...plan, actions: plan.actions.map(onAnyProof) }) });
  assert.throws(() => checkWorld(wrong), /I10/, "what it is there for");
});

test("the filesystem grows beside the loop: a provider that is lost meanwhile is recorded out, and what it held is released", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  const isGrowing = () => a.agent.jobs.some(({ action }) => action.kind === "GrowFilesystem");
  grow(w, 64 * MiB);
  for (let i = 0; i < 2_000 && !isGrowing(); i += 1) {
    w.nodes.forEach((n) => endJob(w, n));
    stepAll(w);
  }
  assert.ok(isGrowing(), "engaged");
  powerOff(w, b);
  detectLosses(w);
  const mark = w.trace.length;
  for (let i = 0; i < 500 && !doneBy(w, "a", mark).includes("Disconnect"); i += 1) stepAll(w);
  assert.deepEqual([isGrowing(), doneBy(w, "a", mark)], [true, ["RecordOut", "GuardVolume", "StampLabel", "FailMember", "Disconnect"]]);
  powerOn(w, b);
  rest(w, a);
  assert.equal(statusOf(w).filesystem?.sizeBytes, statusOf(w).sizeBytes);
});

test("the longer table is given on a proof as good as for a resume, and waits for one", () => {
  const w = grown();
  const a = nodeOf(w, "a");
  const { provenMs } = a.agent.session.seen;
  assert.deepEqual(nextOf(w, a).actions, [
    {
      kind: "GrowVolumeDevice",
      name: `meshstor-${VOLUME_NAME}`,
      mirrors: inputOf(w, a).host.mirrors.map((m) => m.device),
      sizeBytes: statusOf(w).sizeBytes!,
      notAfterMs: provenMs! + freshGraceMs,
      why: "the mirrors below it have grown",
    },
  ]);
  w.nowMs += 2 * freshGraceMs;
  assert.deepEqual(nextOf(w, a).waits.slice(0, 1), [`the device of volume ${VOLUME_NAME} grows once its connections are looked at again (I10)`]);
  rest(w, a);
});
