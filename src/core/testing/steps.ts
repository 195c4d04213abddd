/** One random event of the model: agents, data, late requests, kubelet, mending; then every rule is looked at. */
import { endJob } from "./agent.ts";
import { landPut } from "./api.ts";
import { recover } from "./faults.ts";
import { checkWorld } from "./invariants.ts";
import { land, read, settleWrites, stepRecovery, stepWrite, submit } from "./md.ts";
import { deleteVolume, detectLosses, kubeletAsks, stepAgent, togglePublish } from "./model.ts";
import { advance } from "./time.ts";
import { isBlock } from "../staged.ts";
import { specOf } from "./kind.ts";
import type { NodeState, World } from "./world.ts";
import { BLOCKS, hasUsers, say, statusOf } from "./world.ts";

/** A few steps of one agent, at most to the end of its pass. */
function stepBurst(w: World, n: NodeState): void {
  for (let i = w.rng.int(6); i >= 0 && stepAgent(w, n) && n.agent.pass; i -= 1);
}

/** The application and MD go on by one step somewhere. */
function stepData(w: World): void {
  const arrays = w.nodes.flatMap((n) => n.arrays.map((array) => ({ n, array })));
  if (arrays.length === 0) return;
  const { n, array } = w.rng.pick(arrays);
  // A suspended volume takes nothing new; what is under way goes on (Z14).
  const mounted = hasUsers(n) && n.volumeDevice?.suspended !== true;
  const block = w.rng.int(BLOCKS);
  const dice = w.rng.int(10);
  if (dice < 2 && mounted && !array.writes.some((x) => x.block === block)) submit(w, array, block);
  else if (dice < 3 && mounted) read(w, array, block);
  else if (dice < 5) stepRecovery(w, array);
  else if (array.writes.length > 0) {
    const write = w.rng.pick(array.writes);
    const waiting = [...write.waiting];
    if (waiting.length > 0) stepWrite(w, array, write, w.rng.pick(waiting));
  }
  settleWrites(w, array);
}

function stepLate(w: World): void {
  const exports = w.nodes.flatMap((n) => n.exports).filter((e) => e.late.length > 0 && e.drive.present && e.drive.incarnation === e.incarnation);
  if (exports.length > 0 && w.rng.chance(0.5)) {
    const e = w.rng.pick(exports);
    return land(w, e, w.rng.int(e.late.length));
  }
  const orphans = w.api.pending.filter((p) => !w.nodes.some((n) => n.name === p.from && n.agent.point?.moment === "within"));
  if (orphans.length === 0) return;
  const pending = w.rng.pick(orphans);
  if (w.rng.chance(0.5)) w.api.pending = w.api.pending.filter((p) => p !== pending);
  else if (landPut(w, pending)) say(w, `a late write of ${pending.from} lands as version ${w.api.versions.length - 1}`);
}

/** Kubelet starts a killed container again; above a raw device nothing but the device keeps it from writing. */
function restartContainer(w: World, n: NodeState): void {
  n.killed = false;
  say(w, `${n.name}: the container that was killed runs again`);
}

function stepKubelet(w: World, n: NodeState): void {
  const dice = w.rng.int(10);
  if (n.kubeletDead) return;
  if (n.killed && isBlock(specOf(w)) && w.rng.chance(0.5)) return restartContainer(w, n);
  const staged = w.nodes.some((x) => x.mounts.length > 0);
  if (dice < 4 && n.wants === "none" && (!staged || dice === 0)) n.wants = "stage";
  else if (dice < 5) n.wants = n.mayBeStaged ? "unstage" : "none";
  else if (dice < 6) n.wants = n.wants === "unstage" ? "stage" : "none";
  else if (dice < 8) togglePublish(w, n);
  else if (dice < 9 && w.rng.chance(0.1)) deleteVolume(w);
  kubeletAsks(n);
}

/** In a crisis heartbeats have to fall silent; once somebody has claimed, the race against the former owner's promise is on. */
function isSlow(w: World): boolean {
  const racing = (statusOf(w).former ?? []).some((f) => f.waited !== true);
  return w.nowMs < w.slowUntilMs && (!racing || w.rng.chance(0.1));
}

/** One event, drawn by weight; then everything that must hold is looked at. */
export function step(w: World): void {
  advance(w, w.rng.int(isSlow(w) ? 3_000 : 400));
  const dice = w.rng.int(100);
  const n = w.rng.pick(w.nodes);
  if (dice < 60) stepBurst(w, n);
  else if (dice < 78) for (let i = w.rng.int(4); i >= 0; i -= 1) stepData(w);
  else if (dice < 83) endJob(w, n);
  else if (dice < 89) n.agent.cache += w.api.cut.has(n.name) || n.agent.cache < 0 ? 0 : w.rng.int(w.api.versions.length - n.agent.cache);
  else if (dice < 94) detectLosses(w);
  else if (dice < 96) stepLate(w);
  else if (w.nowMs < w.slowUntilMs && w.rng.chance(0.8)) stepBurst(w, n);
  else if (dice < 98) stepKubelet(w, n);
  else recover(w);
  checkWorld(w);
}
