import assert from "node:assert/strict";
import { test } from "node:test";
import type { FormerOwner, OwnerRecord, Verdict, VolumeStatus } from "../api/volume.ts";
import type { ClaimFrom, RecordAction } from "./action.ts";
import type { RecordContext } from "./record.ts";
import { applyRecord } from "./record.ts";
import { context, identity, mirror, nodeUID, NOW, ownerOf, partition, volume } from "./testing/builders.ts";

const promised: OwnerRecord = { ...ownerOf("a"), promiseMs: 9_000 };
const owned = (change: VolumeStatus = {}): VolumeStatus => ({
  epoch: 3,
  nodeName: "a",
  owner: promised,
  mirrors: [mirror(["a", "b"])],
  partitions: [partition("a"), partition("b")],
  ...change,
});
const from = (judged: Verdict = "Silent", change: Partial<ClaimFrom> = {}): ClaimFrom => ({ nodeUID: nodeUID("a"), bootID: "boot-a-1", judged, ...change });
const former = (change: Partial<FormerOwner> = {}): FormerOwner => ({
  nodeName: "a",
  nodeUID: nodeUID("a"),
  bootID: "boot-a-1",
  epoch: 3,
  judged: "Silent",
  waitMs: 9_000,
  at: NOW,
  ...change,
});
const b = (change: Partial<RecordContext> = {}) => context("b", 3, { promiseMs: 12_000, ...change });

function accepted(action: RecordAction, status: VolumeStatus, c = b()): VolumeStatus {
  const result = applyRecord(action, volume(status), c);
  assert.ok(result.ok, result.ok ? "" : result.refusal);
  return result.status;
}
function refused(action: RecordAction, status: VolumeStatus, c = b()): string {
  const result = applyRecord(action, volume(status), c);
  assert.ok(!result.ok, "accepted");
  return result.refusal;
}
const claim = (f: ClaimFrom | null): RecordAction => ({ kind: "RecordClaim", from: f });

test("takeover: the next epoch, unclean, with this node's own promise; the replaced owner is remembered with its", () => {
  const { address: _address, port: _port, ...me } = identity("b");
  assert.deepEqual(accepted(claim(from()), owned({ handOver: { nodeName: "b", epoch: 3, at: NOW } })), {
    ...owned({ epoch: 4, nodeName: "b", owner: { ...me, since: NOW, start: "Unclean", promiseMs: 12_000 } }),
    former: [former()],
  });
});

test("takeover of one that is declared dead: nothing to wait for, promise or not; who was replaced before stays in the list", () => {
  const before = former({ nodeName: "c", nodeUID: nodeUID("c"), epoch: 2 });
  const result = accepted(claim(from("OutOfService")), owned({ owner: ownerOf("a"), former: [before] }), b({ promiseMs: null }));
  assert.deepEqual([result.former, result.owner?.promiseMs], [[before, former({ judged: "OutOfService", waitMs: 0 })], undefined]);
});

test("takeover is refused: of another owner than was judged, of a silent one without a promise, of the last good copy, in another epoch", () => {
  assert.equal(refused(claim(null), owned()), "node a owns the volume");
  assert.equal(refused(claim(from("Silent", { bootID: "boot-a-2" })), owned()), "node a owns the volume");
  assert.equal(refused(claim(from("Silent", { nodeUID: nodeUID("c") })), owned()), "node a owns the volume");
  assert.equal(refused(claim(from()), owned({ owner: ownerOf("a") })), "node a is silent, and did not promise to stop serving by itself (I10)");
  assert.equal(refused(claim(from()), owned({ mirrors: [mirror(["a"])] })), "every member of R of some mirror is on node a itself");
  assert.equal(refused(claim(from()), owned(), b({ epoch: 2 })), "the record is at epoch 3, the plan was made for 2");
  const { owner: _owner, ...nobody } = owned();
  assert.equal(refused(claim(from()), nobody), "the owner that was judged to be gone is not the volume's owner any more");
  assert.equal(refused(claim(from()), owned({ owner: ownerOf("b") })), "the owner that was judged to be gone is not the volume's owner any more");
});

test("a wish is for one epoch, and asked once", () => {
  const wish = { nodeName: "b", epoch: 3, at: NOW };
  assert.deepEqual(accepted({ kind: "RecordHandOver" }, owned()).handOver, wish);
  assert.deepEqual(accepted({ kind: "RecordHandOver" }, owned({ handOver: { ...wish, nodeName: "c" } })).handOver, { ...wish, nodeName: "c" });
  assert.deepEqual(accepted({ kind: "RecordHandOver" }, owned({ handOver: { ...wish, epoch: 2 } })).handOver, wish);
  assert.equal(refused({ kind: "RecordHandOver" }, owned(), context("a", 3)), "no other node owns the volume");
  assert.equal(accepted({ kind: "RecordRelease", clean: true }, owned({ handOver: wish }), context("a", 3)).handOver, undefined);
});

test("torn down: said by the former owner itself, in any boot, or for one that is declared dead", () => {
  const status = owned({ epoch: 4, owner: ownerOf("b"), former: [former(), former({ nodeName: "c", nodeUID: nodeUID("c"), epoch: 2 })] });
  const tornDown = (node: string, judged: Verdict | null): RecordAction => ({ kind: "RecordTornDown", nodeUID: nodeUID(node), judged });
  const left = (result: VolumeStatus) => result.former?.map((f) => f.nodeName);
  assert.deepEqual(left(accepted(tornDown("a", null), status, { ...context("a", 4), me: identity("a", 2) })), ["c"]);
  assert.deepEqual(left(accepted(tornDown("a", "Deleted"), status, context("b", 4))), ["c"]);
  assert.equal(refused(tornDown("a", "Silent"), status, context("b", 4)), "only the former owner itself can say what is left on it");
  assert.equal(refused(tornDown("b", null), status, context("b", 4)), "the node is no former owner of the volume");
  assert.deepEqual(left(accepted(tornDown("a", null), owned({ former: [former()] }), context("a", 3))), undefined);
});

test("fenced: the owner's word that all were waited for; they stay until they are torn down, through a release as well", () => {
  const status = owned({ owner: ownerOf("b"), former: [former()] });
  const fenced = accepted({ kind: "RecordFenced" }, status);
  assert.deepEqual(fenced.former, [former({ waited: true })]);
  assert.deepEqual(accepted({ kind: "RecordRelease", clean: false }, fenced).former, [former({ waited: true })]);
  assert.equal(refused({ kind: "RecordFenced" }, status, context("c", 3)), "this node, in this boot, is not the volume's owner");
});

test("no entry leaves the record while a former owner may have it assembled (I4)", () => {
  const partitions = [partition("a"), partition("b", { state: "Deleting", detached: true })];
  const status = owned({ mirrors: [mirror(["a"])], partitions, former: [former({ waited: true })] });
  const deleted: RecordAction = { kind: "RecordDeleted", partitionUUID: partitions[1]!.partitionUUID };
  assert.equal(refused(deleted, status), `node a may still have partition ${partitions[1]!.partitionUUID} in use`);
  const { former: _former, ...free } = status;
  assert.deepEqual(accepted(deleted, free).partitions, [partitions[0]]);
});

test("the owner of a deleted volume is let go of by another node: only the one that was judged, declared dead, and only then", () => {
  const at = { deletionTimestamp: NOW };
  const letGo = (judged: Verdict, metadata: object = at, change: Partial<ClaimFrom> = {}, clean = false) =>
    applyRecord({ kind: "RecordRelease", clean, from: from(judged, change) }, volume(owned(), {}, metadata), b());
  const released = letGo("OutOfService");
  assert.deepEqual(released.ok && [released.status.owner, released.status.lastStop, released.status.epoch], [undefined, "Unclean", 3]);
  const refusals = [letGo("Silent"), letGo("Deleted", {}), letGo("Deleted", at, { bootID: "boot-a-2" }), letGo("Deleted", at, {}, true)].map((r) => !r.ok && r.refusal);
  assert.deepEqual(
    refusals,
    Array.from({ length: 4 }, () => "this node, in this boot, is not the volume's owner"),
  );
});
