/** What breaks in the model, one thing or several at once, and how it is mended. */
import { dropConnection } from "./host.ts";
import { breakConnection, markFaulty, settleWrites } from "./md.ts";
import { cut, kubeletAsks, killAgent, powerOff, powerOn, pullDrive, stepAgent } from "./model.ts";
import type { NodeState, World } from "./world.ts";
import { say } from "./world.ts";

/** How long the steps after a crisis take seconds and little else happens: heartbeats fall silent, promises run out, a new owner starts. */
const CRISIS_MS = 200_000;

/** An agent dies, rather in the middle of something than at rest. */
function killInAction(w: World, n: NodeState): void {
  if (!n.up) return;
  for (let i = 1 + w.rng.int(8); i > 0 && (n.agent.point?.kind ?? "") === ""; i -= 1) stepAgent(w, n);
  for (let i = w.rng.int(3); i > 0; i -= 1) stepAgent(w, n);
  killAgent(w, n);
}

/** Something breaks. */
export function fault(w: World): void {
  const n = w.rng.pick(w.nodes);
  const other = w.rng.pick(w.nodes);
  const dice = w.rng.int(48) / 2;
  if (dice >= 20) return crisis(w);
  if (dice < 7) return killInAction(w, n);
  if (dice < 11) return n.up ? powerOff(w, n) : undefined;
  if (dice < 13) return n === other ? undefined : cut(w, n.name, other.name, w.rng.chance(0.3));
  if (dice < 15) return pullDrive(w, n, w.rng.int(2));
  if (dice < 16) {
    const cutOff = w.rng.chance(0.5) ? w.nodes : [n];
    for (const x of cutOff) w.api.cut.add(x.name);
    return say(w, `${cutOff.map((x) => x.name).join(", ")}: the API is out of reach`);
  }
  if (dice < 16.5) return removeByHand(w, n);
  const inUse = n.conns.find((x) => n.arrays.some((a) => a.members.some((m) => m.window.conn === x)));
  if (dice < 17) {
    if (!inUse) return;
    say(w, `${n.name}: a connection deleted by hand`);
    return dropConnection(w, n, inUse);
  }
  const c = inUse ?? n.conns[0];
  if (!c) return;
  say(w, `${n.name}: a connection breaks`);
  breakConnection(w, n, c);
}

/** A person fails a member and takes it out of the array, behind our back (the residual of I1 again). */
function removeByHand(w: World, n: NodeState): void {
  const array = n.arrays[0];
  const m = array && w.rng.pick(array.members);
  if (!array || !m || m.faulty || !markFaulty(array, m)) return;
  say(w, `${n.name}: member ${m.window.uuid.slice(0, 4)} failed and removed by hand`);
  m.kicked = true;
  settleWrites(w, array);
  if (array.writes.length === 0) array.members.splice(array.members.indexOf(m), 1);
}

/**
 * The owner is in trouble and kubelet wants the volume elsewhere: cut off, partly or wholly and perhaps one way only; its
 * agent dead; its power lost; its kubelet dead and the pod gone. Time runs fast for a while.
 */
export function crisis(w: World): void {
  const owner = w.nodes.find((n) => n.mounts.length > 0);
  if (!owner) return;
  const others = w.rng.shuffle(w.nodes.filter((n) => n !== owner));
  w.slowUntilMs = w.nowMs + CRISIS_MS;
  others[0]!.wants = "stage";
  kubeletAsks(others[0]!);
  if (w.rng.chance(0.2)) return leftByKubelet(w, owner);
  if (w.rng.chance(0.15)) {
    powerOff(w, owner);
    // Somebody vouches for it, at once or never.
    owner.outOfService = w.rng.chance(0.5);
    return owner.outOfService ? say(w, `${owner.name}: declared out of service`) : undefined;
  }
  if (w.rng.chance(0.4)) {
    killAgent(w, owner);
    owner.agentDown = true;
    say(w, `${owner.name}: its agent stays dead`);
  }
  if (w.rng.chance(0.7)) {
    w.api.cut.add(owner.name);
    say(w, `${owner.name}: the API is out of reach`);
  }
  for (const other of others) if (w.rng.chance(0.5)) cut(w, owner.name, other.name, w.rng.chance(0.3));
}

function leftByKubelet(w: World, n: NodeState): void {
  say(w, `${n.name}: kubelet dies, the pod is gone`);
  Object.assign(n, { kubeletDead: true, podGone: true, wants: "none" });
  n.agent.intent = { kind: "none" };
}

/** The program of a node, or its kubelet, runs again. */
export function revive(w: World, n: NodeState): void {
  say(w, `${n.name}: all its programs run again`);
  // Kubelet finds what its dead pod left behind, and cleans up.
  if (n.podGone) n.wants = n.mayBeStaged ? "unstage" : "none";
  Object.assign(n, { agentDown: false, kubeletDead: false, podGone: false });
}

/** Something that broke is mended. */
export function recover(w: World): void {
  const mends: (() => void)[] = w.nodes.filter((n) => !n.up).map((n) => () => powerOn(w, n));
  if (w.cuts.size > 0) mends.push(() => (say(w, "networks healed"), w.cuts.clear()));
  if (w.api.cut.size > 0) mends.push(() => (say(w, "the API is in reach"), w.api.cut.clear()));
  for (const drive of w.nodes.flatMap((n) => n.drives)) if (!drive.present) mends.push(() => (say(w, `drive ${drive.id} is back`), (drive.present = true)));
  for (const n of w.nodes) if (n.up && (n.agentDown || n.kubeletDead)) mends.push(() => revive(w, n));
  if (mends.length > 0) w.rng.pick(mends)();
}
