import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStat } from "../observe-dm.ts";
import { connectArguments, RECONNECT_DELAY_S } from "./connect.ts";
import { headOf, parseState } from "./sysfs.ts";

test("a connection is made so that the kernel neither gives up nor reconnects (Z6, Z7)", () => {
  const uid = "99999999-0000-4000-8000-000000000001";
  assert.deepEqual(connectArguments({ nqn: "nqn.x", address: "fd00::2", port: 4420 }, uid, 16), [
    "nvme",
    "connect",
    "--transport=tcp",
    "--traddr=fd00::2",
    "--trsvcid=4420",
    "--nqn=nqn.x",
    `--hostnqn=nqn.2014-08.org.nvmexpress:uuid:${uid}`,
    `--hostid=${uid}`,
    "--ctrl-loss-tmo=-1",
    "--reconnect-delay=2147000",
    "--keep-alive-tmo=2",
    "--nr-io-queues=4",
  ]);
  assert.ok(RECONNECT_DELAY_S * 1000 <= 2 ** 31 - 1, "fits an int at HZ=1000");
});

test("states, path devices and counters of sysfs", () => {
  assert.deepEqual(["live", "connecting", "deleting (no IO)", "resetting", "???", null].map(parseState), ["live", "connecting", "deleting", "resetting", "unknown", "unknown"]);
  assert.deepEqual(["nvme2c4n1", "nvme4n1", "nvme10c11n12"].map(headOf), ["nvme2n1", "nvme4n1", "nvme10n12"]);
  assert.deepEqual(parseStat("  10 0 80 5 20 0 160 9 2 14 14 3 0 24 0 4 1\n"), { inflight: 2, completed: 37 });
  assert.deepEqual(parseStat(""), { inflight: 0, completed: 0 });
});
