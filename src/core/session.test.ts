import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Action } from "./action.ts";
import type { Session } from "./session.ts";
import { afterFailure, afterJoinFailure, afterSuccess, EMPTY_SESSION, hasJob, jobKey, lossKey, NOTHING_SEEN } from "./session.ts";

const after = (session: Session, action: object, facts: Partial<Parameters<typeof afterSuccess>[2]> = {}): Session =>
  afterSuccess(session, { why: "", ...action } as Action, { epoch: 0, nowMs: 0, losses: [], ...facts });
const member = (partitionUUID: string) => ({ partitionUUID, mirror: 0 });

test("a claim, and a release, forget the owner's part and keep the provider's", () => {
  const full: Session = {
    ...{
      claimedEpoch: 3,
      claimedAtMs: 9,
      recordedOut: ["m@dm-1"],
      stamped: { m: "3:1" },
      announced: ["nqn"],
      connected: ["nqn2"],
      zeroed: ["z"],
      wiped: ["w"],
      jobs: ["ZeroPartition:z2"],
    },
    ...{
      fullRebuild: ["m"],
      joinNotBefore: { m: 5 },
      joinFailures: { m: 1 },
      joining: ["m"],
      stopClean: true,
      formatted: true,
      killed: true,
      shutDown: true,
      startAlone: true,
      filesystemBytes: 1,
    },
    extended: ["e"],
    seen: { firstMs: 1, provenMs: 2, stuckMs: 3, failedMs: 4, cut: { epoch: 3, sinceMs: { z: 5 } }, silent: { m: { completed: 1, sinceMs: 6 } } },
  };
  const provider = {
    ...EMPTY_SESSION,
    ...{ announced: ["nqn"], zeroed: ["z"], wiped: ["w"], extended: ["e"], jobs: ["ZeroPartition:z2"], seen: { ...NOTHING_SEEN, cut: { epoch: 3, sinceMs: { z: 5 } } } },
  };
  assert.deepEqual(after(full, { kind: "RecordClaim", from: null }, { epoch: 4, nowMs: 100 }), { ...provider, claimedEpoch: 4, claimedAtMs: 100 });
  assert.deepEqual(after(full, { kind: "RecordRelease", clean: true }), provider);
});

test("losses are remembered by member and window until the member joins again", () => {
  const out = after({ ...EMPTY_SESSION, joining: ["m", "n"] }, { kind: "RecordOut", members: [member("m")] }, { losses: [lossKey("m", "dm-1")] });
  assert.deepEqual([out.recordedOut, out.joining], [["m@dm-1"], ["n"]]);
  const twice = after(out, { kind: "RecordRetire", members: [member("n")] }, { losses: [lossKey("m", "dm-1"), lossKey("n", "dm-2")] });
  assert.deepEqual([twice.recordedOut, twice.joining], [["m@dm-1", "n@dm-2"], []]);
  const joining = after(twice, { kind: "RecordJoining", member: member("m") });
  assert.deepEqual([joining.recordedOut, joining.joining], [["n@dm-2"], ["m"]]);
});

test("a member that is in sync again has no failures, no delay and no verdict on its bitmap", () => {
  const session = { ...EMPTY_SESSION, joining: ["m", "n"], joinFailures: { m: 2, n: 1 }, joinNotBefore: { m: 7, n: 8 }, fullRebuild: ["m", "n"] };
  assert.deepEqual(after(session, { kind: "RecordIn", members: [member("m")] }), {
    ...EMPTY_SESSION,
    joining: ["n"],
    joinFailures: { n: 1 },
    joinNotBefore: { n: 8 },
    fullRebuild: ["n"],
  });
});

test("what else is remembered", () => {
  const device = (uuid: string, generation: number) => ({ partitionUUID: uuid, generation });
  assert.deepEqual(after({ ...EMPTY_SESSION, stamped: { m: "1:1", n: "1:1" } }, { kind: "StampLabel", epoch: 2, devices: [device("m", 0), device("o", 3)] }).stamped, {
    m: "2:0",
    n: "1:1",
    o: "2:3",
  });
  assert.deepEqual(after(EMPTY_SESSION, { kind: "RecordExport" }, { nqn: "x" }).announced, ["x"]);
  assert.deepEqual(after(EMPTY_SESSION, { kind: "Connect", nqn: "x" }).connected, ["x"]);
  assert.deepEqual(after(EMPTY_SESSION, { kind: "ZeroPartition", partitionUUID: "p" }).zeroed, ["p"]);
  assert.deepEqual(after(EMPTY_SESSION, { kind: "WipePartition", partitionUUID: "p" }).wiped, ["p"]);
  assert.equal(after(EMPTY_SESSION, { kind: "MakeFilesystem" }).formatted, true);
  const same = after(EMPTY_SESSION, { kind: "MountPublish" });
  assert.equal(same, EMPTY_SESSION);
});

test("an export is made once: whole or withdrawn, its name is never made again (Z6)", () => {
  const session = { ...EMPTY_SESSION, announced: ["x", "y"] };
  for (const kind of ["CreateExport", "CutExport"]) assert.deepEqual(after(session, { kind, nqn: "x" }).announced, ["y"]);
});

test("a partition made anew proves nothing about its content", () => {
  assert.deepEqual(after({ ...EMPTY_SESSION, zeroed: ["p", "q"] }, { kind: "CreatePartition", partitionUUID: "p" }).zeroed, ["q"]);
});

test("a stop is clean only if every mirror's stop was", () => {
  const stop = (session: Session, clean: boolean) => after(session, { kind: "StopMirror", clean });
  assert.deepEqual(
    [stop(EMPTY_SESSION, true), stop(stop(EMPTY_SESSION, true), true), stop(stop(EMPTY_SESSION, true), false), stop(stop(EMPTY_SESSION, false), true)].map((s) => s.stopClean),
    [true, true, false, false],
  );
});

test("jobs are known by kind and partition", () => {
  const action = (kind: string) => ({ kind, partitionUUID: "p", why: "" }) as Action;
  assert.deepEqual([jobKey(action("ZeroPartition")), jobKey(action("WipePartition")), jobKey(action("CloseWindow"))], ["ZeroPartition:p", "WipePartition:p", null]);
  assert.equal(jobKey({ ...action("GrowFilesystem"), device: "meshstor-v" } as never), "GrowFilesystem:meshstor-v");
  assert.deepEqual([hasJob({ ...EMPTY_SESSION, jobs: ["WipePartition:p"] }, "p"), hasJob({ ...EMPTY_SESSION, jobs: ["WipePartition:pp"] }, "p")], [true, false]);
});

test("property: joins that fail are tried at twice the distance, up to five minutes; a full rebuild is tried at once and stays decided", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), fc.nat(1e9), (fulls, nowMs) => {
      let session: Session = { ...EMPTY_SESSION, joining: ["m", "n"] };
      fulls.forEach((full, i) => {
        session = afterJoinFailure(session, "m", nowMs, full);
        assert.equal(session.joinNotBefore["m"], nowMs + (full ? 0 : Math.min(300_000, 5_000 * 2 ** i)));
        assert.equal(session.fullRebuild.includes("m"), fulls.slice(0, i + 1).includes(true));
      });
      assert.deepEqual([session.joining, session.joinFailures], [["n"], { m: fulls.length }]);
    }),
  );
});

test("a mirror that MD does not assemble whole starts with one member; any other failure of the assembly changes nothing", () => {
  const assemble: Action = { kind: "AssembleMirror", mirror: 0, arrayUUID: "u", name: "n", members: [], why: "" };
  const failed = (["Unsafe", "CommandTimedOut"] as const).map((code) => afterFailure(EMPTY_SESSION, assemble, code, 0).startAlone);
  assert.deepEqual(failed, [true, false]);
});
