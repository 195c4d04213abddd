import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../core/observed.ts";
import { createLogger } from "../base/log.ts";
import { LossWatch } from "./loss-watch.ts";
import type { HostPort } from "./ports.ts";

/** A watch over connections that a test changes; `told` is what it logged, `woken` whom it woke. */
function watched(...controllers: string[]) {
  const dead = new Set<string>();
  const told: unknown[] = [];
  const woken: string[][] = [];
  const connection = (controller: string) => ({ controller, nqn: `nqn:${controller}` }) as Connection;
  const state = { connections: controllers.map(connection), dead, told, woken, nowMs: 0, onAsk: () => {} };
  const watch = new LossWatch({
    host: {
      controllersLive: async (asked) => {
        state.onAsk();
        return asked.every((controller) => !dead.has(controller));
      },
    },
    log: createLogger({ write: (line) => told.push((JSON.parse(line) as { controllers: string[] }).controllers) }),
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
