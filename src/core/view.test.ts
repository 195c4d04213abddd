import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, HostSnapshot } from "./observed.ts";
import { arrayUUID, emptyHost, exported, identity, mirror, ownerOf, part, partition, volume } from "./testing/builders.ts";
import type { MemberView } from "./view.ts";
import { isCurrent, isLost, runsInEpoch, throughOf, viewVolume } from "./view.ts";

const conn = (attach: number, change: Partial<Connection> = {}): Connection => ({
  ...{ controller: `nvme${attach}`, nqn: `nqn-${attach}`, partitionUUID: part("b"), epoch: 2, attach, state: "live", device: `nvme${attach}n1` },
  sizeBytes: 1,
  ...change,
});
const win = (node: string, below: string | null, epoch = 2) => ({
  device: `dm-${node}`,
  name: "",
  partitionUUID: part(node),
  epoch,
  below,
  sizeBytes: 1,
  suspended: false,
  inflight: 0,
  completed: 0,
});
const local = { uuid: part("a"), drive: "d", device: "nvme0n1p1", number: 1, startBytes: 0, sizeBytes: 1, holders: [] };
const array = (...nodes: string[]) => ({
  ...{ device: "md127", arrayUUID: arrayUUID(), arrayState: "active", raidDisks: 2, degraded: 0, syncAction: "idle", syncCompleted: null, syncSpeedKiB: 0 },
  ...{ hasBitmap: true, sizeBytes: 1, holders: [], members: nodes.map((node, slot) => ({ device: `dm-${node}`, partitionUUID: part(node), flags: ["in_sync"], slot })) },
});

function membersOf(host: Partial<HostSnapshot>, detachedAttach?: number): { a: MemberView; b: MemberView; runs: boolean } {
  const b = partition("b", { export: exported("b", 2, 3), ...(detachedAttach === undefined ? {} : { detachedAttach }) });
  const v = volume({ epoch: 2, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), b] });
  const view = viewVolume(v, { ...emptyHost("a"), ...host }, identity("a"));
  return { a: view.members[0]!, b: view.members[1]!, runs: runsInEpoch(view, view.mirrors[0]!) };
}

test("path: the local partition; a remote's live connection of this epoch whose number was not given up", () => {
  const path = (c: Connection, detached?: number) => membersOf({ connections: [c] }, detached).b.path;
  assert.deepEqual([path(conn(3)), path(conn(3, { state: "connecting" })), path(conn(3, { state: "resetting" })), path(conn(3, { epoch: 1 }))], ["nvme3n1", null, null, null]);
  assert.deepEqual([path(conn(3), 2), path(conn(3), 3), path(conn(3, { device: null }))], ["nvme3n1", null, null]);
  assert.deepEqual([membersOf({ partitions: [local] }).a.path, membersOf({}).a.path], ["nvme0n1p1", null]);
  assert.deepEqual(
    [isCurrent(conn(3), partition("b"), 2), isCurrent(conn(3), partition("b", { detachedAttach: 3 }), 2), isCurrent(conn(3), partition("b"), 3)],
    [true, false, false],
  );
});

test("of several connections the one below the window counts, else the one with the highest number", () => {
  assert.equal(membersOf({ connections: [conn(3), conn(4)] }).b.connection?.attach, 4);
  assert.equal(membersOf({ connections: [conn(3), conn(4)], windows: [win("b", "nvme3n1")] }).b.connection?.attach, 3);
});

test("lost: failed by MD, path gone, device below gone or another one", () => {
  const lost = (host: Partial<HostSnapshot>) => isLost(membersOf(host).b);
  const good = { connections: [conn(3)], windows: [win("b", "nvme3n1")], mirrors: [array("b")] };
  assert.equal(lost(good), false);
  const faulty = { ...array("b"), members: [{ device: "dm-b", partitionUUID: part("b"), flags: ["faulty", "write_mostly"], slot: null }] };
  assert.deepEqual(
    [lost({ ...good, mirrors: [faulty] }), lost({ ...good, connections: [] }), lost({ ...good, windows: [win("b", null)] }), lost({ ...good, windows: [win("b", "nvme9n1")] })],
    [true, true, true, true],
  );
});

test("a loss is known by the window while there is one", () => {
  assert.equal(throughOf(membersOf({ connections: [conn(3)], windows: [win("b", "nvme3n1")] }).b), "dm-b");
  assert.equal(throughOf(membersOf({ windows: [win("b", null)] }).b), "dm-b");
  assert.equal(throughOf(membersOf({ connections: [conn(3)] }).b), "nvme3:nqn-3");
  assert.equal(throughOf(membersOf({}).b), "none");
});

test("an array is of this epoch when each of its members is a window that was opened in it (I4)", () => {
  const windows = [win("a", "nvme0n1p1"), win("b", "nvme3n1")];
  assert.equal(membersOf({ windows, mirrors: [array("a", "b")] }).runs, true);
  assert.equal(membersOf({ windows: [windows[0]!, win("b", "nvme3n1", 1)], mirrors: [array("a", "b")] }).runs, false);
  assert.equal(membersOf({ windows: [windows[0]!], mirrors: [array("a", "b")] }).runs, false, "a member that is no window of ours");
  assert.equal(membersOf({ windows, mirrors: [] }).runs, false);
  assert.equal(membersOf({ windows, mirrors: [array()] }).runs, false, "found by its UUID, without members");
});

test("an array is found through its windows, or by its UUID when a host tool assembled it", () => {
  const view = (host: Partial<HostSnapshot>) =>
    viewVolume(volume({ epoch: 2, mirrors: [mirror(["a"])], partitions: [partition("a")] }), { ...emptyHost("a"), ...host }, identity("a")).mirrors[0]!.array?.device;
  assert.equal(view({ mirrors: [{ ...array(), members: [{ device: "nvme0n1p1", partitionUUID: null, flags: [], slot: 0 }] }] }), "md127");
  assert.equal(view({ windows: [win("a", null)], mirrors: [{ ...array("a"), arrayUUID: "another", device: "md5" }] }), "md5");
  assert.equal(view({ mirrors: [{ ...array(), arrayUUID: "another" }] }), undefined);
});
