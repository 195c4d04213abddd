import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyHost } from "../core/testing/builders.ts";
import { remainsOf } from "./leave.ts";

test("a host with nothing of a volume has no remains; every part of one is named", () => {
  const host = emptyHost("a");
  assert.deepEqual(remainsOf(host), []);
  const partitions = ["1", "2", "3", "4"].map((n) => ({ uuid: `u${n}`, device: `nvme0n1p${n}` })) as never;
  const volumeDevices = [{ name: "meshstor-v" }] as never;
  assert.deepEqual(remainsOf({ ...host, partitions, volumeDevices }), ["4 partitions (u1 on nvme0n1p1, u2 on nvme0n1p2, u3 on nvme0n1p3, …)", "1 volume (meshstor-v)"]);
});
