/** One history's side in the model: what happens from outside is told to it in words, and it says what stands where it has come to rest. */
import { choicesFrom } from "../../src/core/testing/choices.ts";
import { dropConnection } from "../../src/core/testing/host.ts";
import { round, stageOn, until } from "../../src/core/testing/liveness.ts";
import { revive } from "../../src/core/testing/faults.ts";
import { submit } from "../../src/core/testing/md.ts";
import { createWorld, cut, deleteVolume, killAgent, NODES, powerOff, powerOn, pullDrive, togglePublish } from "../../src/core/testing/model.ts";
import type { NodeState, World } from "../../src/core/testing/world.ts";
import { latest, nodeOf, partsOf, say, statusOf } from "../../src/core/testing/world.ts";
import type { CopyFacts, Facts } from "./facts.ts";
import { ranks, REGISTERS, stateText } from "./facts.ts";

/** Rounds until everything has come to rest: longer than any wait of the protocol but that for a silent owner. */
const ROUNDS = 24;
const ROUND_MS = 2_500;

export class ModelSide {
  readonly world: World;
  /** Number of the application's write by the model's own number. */
  readonly #writes = new Map<number, number>([[0, 0]]);

  constructor(placement: string[]) {
    // Every choice falls on the quiet side: what is left is what must happen.
    this.world = createWorld({ seed: 1, copies: placement.length, stripes: 1, placement, guards: true, choices: choicesFrom(() => 0) });
    for (const n of this.world.nodes) n.clock = { rate: 1, offsetMs: 0 };
    this.settle();
  }

  get status() {
    return statusOf(this.world);
  }

  /** Carries out one event; words as in history.ts. */
  event(text: string): void {
    const [name = "", x = "", y = ""] = text.split(" ");
    const w = this.world;
    const event = EVENTS[name];
    if (name === "write") this.#write(Number(x), Number(y));
    else if (name === "settle") this.settle();
    else if (event) event(w, x, y);
    else throw new Error(`no event ${text}`);
  }

  #write(register: number, number: number): void {
    const w = this.world;
    const [array] = owning(w, this.status.owner?.nodeName ?? "").arrays;
    this.#writes.set(submit(w, array!, register).value, number);
    until(w, `write ${number} is acknowledged`, () => array!.writes.length === 0);
  }

  settle(): void {
    for (let i = 0; i < ROUNDS; i += 1) round(this.world, ROUND_MS);
  }

  facts(): Facts {
    const w = this.world;
    const { owner, epoch = 0, lastStop, former = [], mirrors = [], partitions = [] } = this.status;
    const nodeOfPart = (uuid: string) => partitions.find((p) => p.partitionUUID === uuid)?.nodeID ?? uuid;
    const array = w.nodes.find((n) => n.name === owner?.nodeName)?.arrays[0];
    return {
      owner: owner?.nodeName ?? null,
      epoch,
      lastStop: lastStop ?? null,
      former: former.map((f) => f.nodeName).sort(),
      R: (mirrors[0]?.inSync ?? []).map(nodeOfPart).sort(),
      generation: mirrors[0]?.generation ?? 0,
      partitions: Object.fromEntries(partitions.map((p) => [p.nodeID, stateText(p)])),
      staged: w.nodes.filter((n) => n.mounts.length > 0).map((n) => n.name),
      array: Object.fromEntries(
        (array?.members ?? []).map((m) => [nodeOfPart(m.window.uuid), [m.faulty ? "faulty" : m.inSync ? "in_sync" : "spare", ...(m.writeMostly ? ["write_mostly"] : [])].join()]),
      ),
      slots: array?.raidDisks ?? 0,
      copies: this.#copies(),
    };
  }

  #copies(): Facts["copies"] {
    const { mirrors = [], partitions = [] } = this.status;
    const parts = this.world.nodes.flatMap(partsOf).filter((part) => partitions.some((p) => p.partitionUUID === part.uuid));
    const counts = ranks(parts.map((part) => part.superblock?.events ?? -1));
    return Object.fromEntries(
      parts.map((part, i): [string, CopyFacts | null] => [
        part.node,
        part.superblock && {
          member: part.superblock.arrayUUID === mirrors[0]?.arrayUUID,
          events: counts[i]!,
          dirty: REGISTERS.filter((k) => part.superblock!.bitmap.has(k)),
          registers: REGISTERS.map((k) => this.#writes.get(part.content[k]!) ?? -1),
        },
      ]),
    );
  }
}

function owning(w: World, name: string): NodeState {
  const n = nodeOf(w, name);
  if (n.arrays.length === 0) throw new Error(`the volume does not run on ${name}`);
  return n;
}

function driveAt(w: World, n: NodeState): number {
  const at = n.drives.findIndex((d) => d.parts.some((p) => statusOf(w).partitions?.some((x) => x.partitionUUID === p.uuid)));
  if (at < 0) throw new Error(`${n.name} holds no copy`);
  return at;
}

/** A machine that stands still: it says nothing and hears nothing. */
function freeze(w: World, n: NodeState): void {
  n.agentDown = true;
  w.api.cut.add(n.name);
  for (const other of NODES) if (other !== n.name) cut(w, n.name, other);
}

const EVENTS: Readonly<Record<string, (w: World, x: string, y: string) => void>> = {
  stage: (w, x) => {
    stageOn(w, nodeOf(w, x));
    togglePublish(w, nodeOf(w, x));
  },
  unstage: (w, x) => {
    const n = nodeOf(w, x);
    if (n.mounts.some((m) => m.published)) togglePublish(w, n);
    n.wants = "unstage";
    until(w, `unstaged on node ${x}`, () => n.wants === "none");
  },
  off: (w, x) => powerOff(w, nodeOf(w, x)),
  on: (w, x) => {
    for (const drive of nodeOf(w, x).drives) drive.present = true;
    powerOn(w, nodeOf(w, x));
  },
  taint: (w, x) => {
    nodeOf(w, x).outOfService = true;
  },
  untaint: (w, x) => {
    nodeOf(w, x).outOfService = false;
  },
  cut: (w, x, y) => cut(w, x, y),
  cutoneway: (w, x, y) => cut(w, x, y, true),
  mute: (w, x) => {
    for (const name of x === "all" ? NODES : [x]) w.api.cut.add(name);
  },
  isolate: (w, x) => {
    w.api.cut.add(x);
    for (const other of NODES) if (other !== x) cut(w, x, other);
  },
  heal: (w) => {
    w.cuts.clear();
    w.api.cut.clear();
  },
  kill: (w, x) => {
    const n = nodeOf(w, x);
    killAgent(w, n);
    n.agentDown = true;
  },
  start: (w, x) => revive(w, nodeOf(w, x)),
  freeze: (w, x) => freeze(w, nodeOf(w, x)),
  thaw: (w, x) => {
    revive(w, nodeOf(w, x));
    w.cuts.clear();
    w.api.cut.clear();
  },
  pull: (w, x) => pullDrive(w, nodeOf(w, x), driveAt(w, nodeOf(w, x))),
  drop: (w, x) => {
    const n = owning(w, x);
    say(w, `${x}: a connection deleted by hand`);
    dropConnection(w, n, n.conns[0]!);
  },
  delete: (w) => {
    deleteVolume(w);
    until(w, "the volume is gone", () => latest(w) === null);
  },
};

/** Names of all events, `write` and `settle` among them. */
export const EVENT_NAMES: readonly string[] = [...Object.keys(EVENTS), "write", "settle"];
