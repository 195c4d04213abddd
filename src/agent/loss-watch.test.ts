import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, Mirror } from "../core/observed.ts";
import { createLogger } from "../base/log.ts";
import { LossWatch } from "./loss-watch.ts";
import type { HostPort } from "./ports.ts";

const lostIn = (line: { controllers?: string[]; arrays?: string[] }) => line.controllers ?? line.arrays;

/** A watch over connections that a test changes; `told` is what it logged, `woken` whom it woke. */
function watched(...controllers: string[]) {
  const dead = new Set<string>();
  const told: unknown[] = [];
  const woken: string[][] = [];
  const connection = (controller: string) => ({ controller, nqn: `nqn:${controller}` }) as Connection;
  const counts = new Map<string, number>();
  const mirrors: Mirror[] = [];
  const state = { connections: controllers.map(connection), mirrors, counts, dead, told, woken, nowMs: 0, onAsk: () => {} };
  const watch = new LossWatch({
    host: {
      controllersLive: async (asked) => {
        state.onAsk();
        return asked.every((controller) => !dead.has(controller));
      },
      degraded: async (asked) => asked.map((array) => counts.get(array) ?? 0),
    },
    log: createLogger({ write: (line) => told.push(lostIn(JSON.parse(line))) }),
    nowMs: () => state.nowMs,
    latest: () => state,
    wakeFor: (lost) => woken.push([...lost]),
  });
  const host = watch.toldBy({ apply: async () => {} } as unknown as HostPort);
  const giveUp = (controller: string) => void host.apply({ kind: "Disconnect", controller, nqn: `nqn:${controller}` }, () => {});
  return { watch, giveUp, connection, ...state, state };
}

test("a loss is told once, also while it lasts, and again after it was live", async () => {
  const { watch, dead, told, woken } = watched("nvme4", "nvme5");
  await watch.look();
  dead.add("nvme4");
  await watch.look();
  await watch.look();
  dead.add("nvme5");
  await watch.look();
  dead.clear();
  await watch.look();
  dead.add("nvme4");
  await watch.look();
  const expected = [["nvme4"], ["nvme5"], ["nvme4"]];
  assert.deepEqual([told, woken], [expected, expected]);
});

test("what this program disconnects is no loss, also when it begins during a look", async () => {
  const { watch, giveUp, dead, told, state } = watched("nvme4", "nvme5");
  giveUp("nvme4");
  dead.add("nvme4");
  await watch.look();
  state.onAsk = () => giveUp("nvme5");
  dead.add("nvme5");
  await watch.look();
  assert.deepEqual(told, []);
});

test("the kernel gives a controller's name to the next connection: that one is watched", async () => {
  const { watch, giveUp, connection, dead, told, state } = watched("nvme4");
  giveUp("nvme4");
  dead.add("nvme4");
  await watch.look();
  state.connections = [{ ...connection("nvme4"), nqn: "nqn:next" }];
  await watch.look();
  assert.deepEqual(told, [["nvme4"]]);
});

test("when a controller was last seen live; nothing is said of one that is not in use any more", async () => {
  const { watch, dead, state } = watched("nvme4", "nvme5");
  await watch.look();
  state.nowMs = 250;
  dead.add("nvme4");
  await watch.look();
  state.nowMs = 500;
  await watch.look();
  assert.deepEqual([watch.liveAt("nvme4"), watch.liveAt("nvme5"), watch.liveAt("nvme6")], [0, 500, null]);
  state.connections = [];
  await watch.look();
  assert.deepEqual([watch.liveAt("nvme4"), watch.liveAt("nvme5")], [null, null]);
});

test("a member that MD failed is told once, until a look at the host has seen it; another one is told again", async () => {
  const { watch, counts, told, woken, state } = watched();
  const mirror = (device: string, degraded: number) => ({ device, degraded }) as Mirror;
  state.mirrors = [mirror("md_a", 0), mirror("md_b", 1)];
  counts.set("md_b", 1);
  await watch.lookAtArrays();
  counts.set("md_a", 1);
  await watch.lookAtArrays();
  await watch.lookAtArrays();
  state.mirrors = [mirror("md_a", 1), mirror("md_b", 1)];
  await watch.lookAtArrays();
  counts.set("md_b", 2);
  await watch.lookAtArrays();
  state.mirrors = [mirror("md_a", 0)];
  counts.set("md_a", 0);
  await watch.lookAtArrays();
  counts.set("md_a", 1);
  await watch.lookAtArrays();
  const expected = [["md_a"], ["md_b"], ["md_a"]];
  assert.deepEqual([told, woken], [expected, expected]);
});
