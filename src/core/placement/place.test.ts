import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { PARTITION_OVERHEAD } from "../../base/layout.ts";
import { GiB, MiB } from "../../base/units.ts";
import { capacityOf } from "./capacity.ts";
import { fits } from "./holes.ts";
import { place } from "./place.ts";
import { partitionSize } from "../sizes.ts";
import type { CandidateDrive, CandidateNode, Cluster, PlacementRequest, Reservation } from "./types.ts";

function drive(nodeName: string, id: string, holes: number[], change: Partial<CandidateDrive["status"]> = {}): CandidateDrive {
  const freeBytes = holes.reduce((sum, size) => sum + size, 0);
  const status = {
    nodeName,
    drive: id,
    device: "nvme0n1",
    model: "m",
    serial: id,
    sizeBytes: 100 * GiB,
    freeBytes,
    biggestHoleBytes: Math.max(0, ...holes),
    sectorSize: 512,
    holes: holes.map((sizeBytes, i) => ({ startBytes: i * 200 * GiB, sizeBytes })),
    freePartitionEntries: 128,
    localPartitions: 0,
    remotePartitions: 0,
    unknownPartitions: 0,
    writeZeroes: true,
    health: "Usable",
    ...change,
  };
  return { use: "Auto", status };
}
const node = (name: string, change: Partial<CandidateNode> = {}): CandidateNode => ({ name, ready: true, cordoned: false, topology: {}, ...change });
const request = (change: Partial<PlacementRequest> = {}): PlacementRequest => ({
  copies: 2,
  drivesPerCopy: 1,
  partitionBytes: GiB + PARTITION_OVERHEAD,
  excludeNodes: new Map(),
  excludeDrives: [],
  preferredNodes: [],
  favouredNodes: [],
  spread: [],
  seed: "s",
  ...change,
});
const three = (): Cluster => ({
  nodes: [node("a"), node("b"), node("c")],
  drives: ["a", "b", "c"].flatMap((n) => [drive(n, `${n}1`, [10 * GiB]), drive(n, `${n}2`, [20 * GiB])]),
  reservations: [],
});

test("copies go to different nodes, to the drives with the greatest free share", () => {
  const placement = place(three(), request({ copies: 3, seed: "x" }));
  assert.ok(placement.ok);
  assert.deepEqual(
    placement.copies.map((c) => ({ node: c.node, drives: c.drives })).toSorted((x, y) => (x.node < y.node ? -1 : 1)),
    [
      { node: "a", drives: ["a2"] },
      { node: "b", drives: ["b2"] },
      { node: "c", drives: ["c2"] },
    ],
  );
});

test("the preferred node comes first if it can, and is passed over if it cannot", () => {
  const first = place(three(), request({ preferredNodes: ["c"] }));
  assert.ok(first.ok && first.copies[0]?.node === "c" && first.copies[0].why === "preferred by the request");
  const cluster = { ...three(), nodes: [node("a"), node("b"), node("c", { cordoned: true })] };
  const second = place(cluster, request({ preferredNodes: ["c"] }));
  assert.deepEqual(second.ok && second.copies.map((c) => c.node).toSorted(), ["a", "b"]);
});

test("copies are spread over the values of a topology key", () => {
  const zones: Record<string, string> = { a: "z1", b: "z1", c: "z2" };
  const cluster = { ...three(), nodes: ["a", "b", "c"].map((n) => node(n, { topology: { zone: zones[n]! } })) };
  for (const seed of ["1", "2", "3", "4"]) {
    const placement = place(cluster, request({ spread: ["zone"], seed }));
    assert.ok(placement.ok);
    assert.deepEqual(placement.copies.map((c) => zones[c.node]).toSorted(), ["z1", "z2"]);
  }
});

test("all members have one sector size: 4096 where possible, else 512, never mixed", () => {
  const mixed: Cluster = {
    nodes: [node("a"), node("b")],
    drives: [drive("a", "a1", [10 * GiB], { sectorSize: 4096 }), drive("a", "a2", [10 * GiB]), drive("b", "b1", [10 * GiB])],
    reservations: [],
  };
  const first = place(mixed, request());
  assert.deepEqual([first.ok && first.sectorSize, first.ok && first.copies.map((c) => c.drives[0]).toSorted()], [512, ["a2", "b1"]]);
  const both = { ...mixed, drives: [...mixed.drives, drive("b", "b2", [10 * GiB], { sectorSize: 4096 })] };
  const second = place(both, request());
  assert.deepEqual([second.ok && second.sectorSize, second.ok && second.copies.map((c) => c.drives[0]).toSorted()], [4096, ["a1", "b2"]]);
  const refused = place(mixed, request({ sectorSize: 4096 }));
  assert.deepEqual(refused, {
    ok: false,
    code: "NotEnoughNodes",
    message: "2 nodes with a drive with 1032 MiB free in one piece needed, 1 found: node b has no suitable drive (drive b1 has sectors of 512 bytes, 4096 are wanted)",
    refused: [{ node: "b", why: "has no suitable drive (drive b1 has sectors of 512 bytes, 4096 are wanted)" }],
  });
});

test("more copies than nodes, or stripes wider than any node: NotEnoughNodes; a size beyond every drive: NoCapacity", () => {
  const codes = [request({ copies: 4 }), request({ drivesPerCopy: 3 }), request({ partitionBytes: 21 * GiB })].map((r) => {
    const placement = place(three(), r);
    return placement.ok ? "ok" : placement.code;
  });
  assert.deepEqual(codes, ["NotEnoughNodes", "NotEnoughNodes", "NoCapacity"]);
});

test("every reason is named: heartbeat, cordon, exclusion, health, entries, room", () => {
  const cluster: Cluster = {
    nodes: [node("a", { ready: false }), node("b", { cordoned: true }), node("c"), node("d"), node("e"), node("f"), node("g")],
    drives: [
      drive("a", "a1", [10 * GiB]),
      drive("b", "b1", [10 * GiB]),
      drive("c", "c1", [10 * GiB]),
      drive("d", "d1", [10 * GiB], { health: "Drive is read-only" }),
      drive("e", "e1", [10 * GiB], { freePartitionEntries: 1 }),
      drive("f", "f1", [2 * GiB]),
    ],
    reservations: [
      { nodeID: "e", drive: "e1", sizeBytes: GiB },
      { nodeID: "f", drive: "f1", sizeBytes: GiB },
    ],
  };
  const placement = place(cluster, request({ sectorSize: 512, copies: 1, excludeNodes: new Map([["c", "holds a copy of this volume"]]) }));
  assert.ok(!placement.ok);
  assert.equal(placement.code, "NoCapacity");
  assert.deepEqual(Object.fromEntries(placement.refused.map((r) => [r.node, r.why])), {
    a: "has no fresh heartbeat",
    b: "is cordoned",
    c: "holds a copy of this volume",
    d: "has no suitable drive (drive d1 is not used (Drive is read-only))",
    e: "has no suitable drive (drive e1 has no free entry in its partition table)",
    f: "has no suitable drive (drive f1 has room for 1 GiB in one piece, 1032 MiB are needed)",
    g: "has no suitable drive",
  });
});

test("an excluded drive leaves its node to another drive", () => {
  const placement = place(three(), request({ copies: 3, excludeDrives: [{ nodeID: "b", drive: "b2", why: "could not make the partition" }] }));
  assert.deepEqual(placement.ok && placement.copies.find((c) => c.node === "b")?.drives, ["b1"]);
});

test("the same seed gives the same choice, whatever the order of the lists", () => {
  const cluster = three();
  const shuffled = { ...cluster, nodes: cluster.nodes.toReversed(), drives: cluster.drives.toReversed() };
  for (const seed of ["p", "q", "r"]) assert.deepEqual(place(shuffled, request({ seed })), place(cluster, request({ seed })));
});

/** Clusters of up to five nodes with up to four drives each, some full, some promised. */
const clusters: fc.Arbitrary<Cluster> = fc
  .array(
    fc.array(
      fc.record({
        holes: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 3 }),
        sector: fc.constantFrom(512, 4096),
        promised: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
      }),
      { maxLength: 4 },
    ),
    {
      maxLength: 5,
    },
  )
  .map((nodes) => {
    const drives: CandidateDrive[] = [];
    const reservations: Reservation[] = [];
    for (const [n, list] of nodes.entries()) {
      for (const [d, one] of list.entries()) {
        drives.push(
          drive(
            `n${n}`,
            `n${n}d${d}`,
            one.holes.map((size) => size * 100 * MiB),
            { sectorSize: one.sector },
          ),
        );
        for (const size of one.promised) reservations.push({ nodeID: `n${n}`, drive: `n${n}d${d}`, sizeBytes: size * 100 * MiB });
      }
    }
    return { nodes: nodes.map((_, n) => node(`n${n}`, { topology: { zone: `z${n % 2}` } })), drives, reservations };
  });
const requests = fc
  .record({ copies: fc.integer({ min: 1, max: 3 }), drivesPerCopy: fc.integer({ min: 1, max: 3 }), size: fc.integer({ min: 1, max: 9 }), seed: fc.string({ maxLength: 3 }) })
  .map(({ size, ...rest }) => request({ ...rest, partitionBytes: size * 100 * MiB, spread: ["zone"] }));

test("never two copies on a node, never two mirrors of a copy on a drive, never more than the holes hold", () => {
  fc.assert(
    fc.property(clusters, requests, (cluster, wish) => {
      const placement = place(cluster, wish);
      fc.pre(placement.ok);
      assert.ok(placement.ok);
      assert.equal(new Set(placement.copies.map((c) => c.node)).size, wish.copies);
      for (const copy of placement.copies) {
        assert.equal(copy.drives.length, wish.drivesPerCopy);
        assert.equal(new Set(copy.drives).size, wish.drivesPerCopy);
        for (const id of copy.drives) {
          const found = cluster.drives.find((d) => d.status.drive === id)!;
          const promised = cluster.reservations.filter((r) => r.drive === id).map((r) => r.sizeBytes);
          assert.equal(found.status.nodeName, copy.node);
          assert.equal(found.status.sectorSize, placement.sectorSize);
          assert.ok(
            fits(
              found.status.holes.map((h) => h.sizeBytes),
              [...promised, wish.partitionBytes],
            ),
          );
        }
      }
    }),
  );
});

test("monotone: more free space never turns success into failure", () => {
  fc.assert(
    fc.property(clusters, requests, fc.nat(10), fc.integer({ min: 1, max: 9 }), fc.boolean(), (cluster, wish, index, more, asNewHole) => {
      fc.pre(cluster.drives.length > 0 && place(cluster, wish).ok);
      const target = cluster.drives[index % cluster.drives.length]!;
      const sizes = target.status.holes.map((h) => h.sizeBytes);
      const grown = asNewHole || sizes.length === 0 ? [...sizes, more * 100 * MiB] : sizes.with(0, sizes[0]! + more * 100 * MiB);
      const wider = drive(target.status.nodeName, target.status.drive, grown, { sectorSize: target.status.sectorSize });
      assert.equal(place({ ...cluster, drives: cluster.drives.map((d) => (d === target ? wider : d)) }, wish).ok, true);
    }),
  );
});

test("the biggest volume that capacity names can be placed, and one bigger by a MiB per stripe cannot", () => {
  fc.assert(
    fc.property(clusters, requests, (cluster, wish) => {
      const { biggestVolumeBytes, availableBytes } = capacityOf(cluster, wish);
      const at = (bytes: number) => place(cluster, { ...wish, partitionBytes: partitionSize({ ...wish, capacityBytes: bytes }) }).ok;
      if (biggestVolumeBytes > 0) assert.equal(at(biggestVolumeBytes), true);
      assert.equal(at(biggestVolumeBytes + wish.drivesPerCopy * MiB), false);
      assert.ok(availableBytes >= biggestVolumeBytes);
    }),
  );
});

test("capacity within a node is what a volume with a copy there can have", () => {
  const cluster = three();
  const full = { ...cluster, drives: cluster.drives.filter((d) => d.status.nodeName !== "a") };
  assert.deepEqual(capacityOf(full, request(), ["a"]), { availableBytes: 0, biggestVolumeBytes: 0 });
  assert.deepEqual(capacityOf(full, request(), ["b"]), { availableBytes: 30 * GiB, biggestVolumeBytes: 20 * GiB - PARTITION_OVERHEAD });
  assert.deepEqual(capacityOf(full, request()), { availableBytes: 30 * GiB, biggestVolumeBytes: 20 * GiB - PARTITION_OVERHEAD });
});
