/** What a fault happens to: a volume in use in a small world, with both workloads on it, and everything that is known about them. */
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { volumeDeviceName } from "../../src/api/names.ts";
import type { GuestProcess } from "../../lab/guest/guest.ts";
import { dataChecksum, recorded, traces } from "../../lab/world/inspect.ts";
import { Registers } from "../../lab/world/registers.ts";
import { createVolume, deleteVolume } from "../../lab/world/volumes.ts";
import { eventually, sleep } from "../../lab/world/wait.ts";
import type { World } from "../../lab/world/world.ts";
import { readRecords, Writer } from "../../lab/world/writer.ts";
import type { Fault } from "./fault.ts";
import { judgeRecords, judgeRegisters } from "./judge.ts";

export interface StageSpec {
  readonly copies: number;
  readonly stripe: number;
  /** The nodes in the order of their parts: owner, first provider, third. As the placement has it if absent. */
  readonly nodes?: readonly string[];
}

/** Both workloads on one node. */
interface Duty {
  readonly node: string;
  readonly writer: Writer;
  readonly registers: Registers;
  /** The node was frozen then (epoch ms of the host): its later reads are bounded in time only. */
  frozenAtMs?: number;
}

/** A promise that did not hold: a lost record, a read of the past, members that differ, something left behind. */
export class Violation extends Error {}

/** The volume is not healthy again by itself within the bound. */
export class NotHealthy extends Error {}

/** The fault was not there: the case proves nothing. */
export class NotEngaged extends Error {}

/** What a case ended with, if it ended well. */
export interface Outcome {
  /** Acknowledged records and register writes. */
  readonly acknowledged: number;
  readonly reads: number;
  /** Longest time without an acknowledged record, from the fault on. */
  readonly pauseMs: number;
  /** From the end of the fault until every copy was in sync again. */
  readonly healthyMs: number;
}

/** Seconds within which a volume must be healthy again after the last fault ended (times the lab's scale). */
export const HEALTHY_S = 180;

export class Stage {
  readonly world: World;
  readonly id: string;
  readonly spec: StageSpec;
  /** The owner at the beginning, the first provider, and the third node (which has a copy if there are three). */
  readonly home: string;
  readonly other: string;
  readonly third: string;
  /** What proves that the fault was there. */
  readonly evidence: string[] = [];
  readonly #duties: Duty[] = [];
  readonly #helpers: GuestProcess[] = [];
  readonly #say: (line: string) => void;
  #faultAtMs = 0;

  private constructor(world: World, id: string, spec: StageSpec, nodes: readonly string[], say: (line: string) => void) {
    this.world = world;
    this.id = id;
    this.spec = spec;
    this.home = nodes[0]!;
    this.other = nodes[1]!;
    this.third = world.names.find((name) => name !== this.home && name !== this.other)!;
    this.#say = say;
  }

  /** A new volume, in use on the node of its first copy. */
  static async up(world: World, name: string, spec: StageSpec, say: (line: string) => void = () => {}): Promise<Stage> {
    const parameters = { numberOfCopies: String(spec.copies), drivesPerCopy: String(spec.stripe) };
    const id = await createVolume(world, name, { parameters, ...(spec.nodes === undefined ? {} : { preferred: spec.nodes.slice(0, spec.copies) }) });
    const placed = [...new Set((await world.volume(id))!.status!.partitions!.map((p) => p.nodeID))];
    const nodes = (spec.nodes ?? placed).filter((node) => placed.includes(node));
    const stage = new Stage(world, id, spec, nodes, say);
    await world.node(stage.home).mount(id);
    await stage.untilWhole(90);
    await stage.work(stage.home);
    await stage.progress(60);
    return stage;
  }

  guest(name: string) {
    return this.world.lab.guest(name);
  }

  say(line: string): void {
    this.#say(line);
  }

  /** A whole case: the fault, the proof that it engaged, and the end. */
  async play(fault: Fault): Promise<Outcome> {
    await fault.run(this);
    if (this.evidence.length === 0) throw new NotEngaged(`nothing proves that ${fault.name} was there`);
    return this.end();
  }

  /** The fault begins now: pauses count from here. */
  begin(what: string): void {
    this.#faultAtMs = Date.now();
    this.say(what);
  }

  /** A proof that the fault was there. */
  engaged(sentence: string): void {
    this.evidence.push(sentence);
    this.say(`engaged: ${sentence}`);
  }

  async volume(): Promise<MeshStorVolume> {
    return (await this.world.volume(this.id))!;
  }

  /** Starts both workloads on a node that has the volume mounted. */
  async work(node: string): Promise<void> {
    const path = this.world.node(node).targetPath(this.id);
    const writer = await Writer.start(this.world.lab, this.guest(node), `${path}/records`, { clock: true });
    this.#duties.push({ node, writer, registers: await Registers.start(this.world.lab, this.guest(node), `${path}/registers`, writer.run) });
  }

  /** Starts another program beside the workload; it is ended before the volume is unmounted. */
  async helper(node: string, argv: readonly string[]): Promise<void> {
    this.#helpers.push(await this.guest(node).spawn(argv));
  }

  /** The duty that was begun last. */
  get duty(): Duty {
    return this.#duties.at(-1)!;
  }

  /** Waits until so many further records are acknowledged. */
  progress(records: number, seconds = 60): Promise<void> {
    return this.duty.writer.progress(records, seconds);
  }

  /** Waits until no record has been acknowledged for some seconds: writes are held. */
  async untilHeld(quietMs = 4_000): Promise<number> {
    let count = -1;
    await eventually("writes are held", 40, async () => {
      count = this.duty.writer.acks().length;
      await sleep(quietMs);
      return this.duty.writer.acks().length === count || "they still go on";
    });
    return count;
  }

  /** The volume device of a node is suspended: nothing is read or written. */
  async expectSuspended(node: string): Promise<void> {
    const device = volumeDeviceName(this.id);
    const state = await this.guest(node).sh(`dmsetup info -c --noheadings -o suspended ${device}; pgrep -f '^@meshstor-hold ${device}' || true`);
    if (!/^Suspended|^\d+$/m.test(state)) throw new Violation(`${device} of ${node} is not suspended: ${state}`);
    this.engaged(`${device} of ${node} is suspended (${state.trim().replaceAll("\n", ", ")})`);
  }

  /** Waits until the record names no member of a node in sync any more; with a mirror's number: none of this mirror. */
  async untilOut(node: string, seconds = 60, mirror?: number): Promise<void> {
    await this.world.untilVolume(this.id, `has recorded ${node} out`, seconds, (v) => {
      const meant = (v.status?.mirrors ?? []).map((_, index) => index).filter((index) => mirror === undefined || index === mirror);
      const left = meant.filter((index) => recorded(v, index).some((p) => p.nodeID === node)).length;
      return left === 0 || `${left} mirrors still name it in sync`;
    });
    this.engaged(`${node} was recorded out${mirror === undefined ? "" : ` of mirror ${mirror}`}`);
  }

  /** Stages and publishes, again and again as kubelet does, then works there. The node may be another one than before. */
  async workOn(node: string, seconds = 300): Promise<void> {
    const begun = Date.now();
    await eventually(`${node} stages the volume`, seconds, async () => {
      await this.world.node(node).stage(this.id, 60);
      return true;
    });
    await this.world.node(node).publish(this.id);
    this.say(`${node} has the volume ${((Date.now() - begun) / 1000).toFixed(1)} s after it was asked`);
    await this.work(node);
    await this.progress(30);
  }

  /** Takes the volume over from an owner that is gone or silent. */
  async takeOver(node: string, seconds = 300): Promise<void> {
    const { epoch = 0, owner } = (await this.volume()).status!;
    await this.workOn(node, seconds);
    const now = (await this.volume()).status!;
    if (now.owner?.nodeName !== node || (now.epoch ?? 0) <= epoch) throw new Error(`${node} works, but the record names ${now.owner?.nodeName} in epoch ${now.epoch}`);
    this.engaged(`${node} took over from ${owner?.nodeName} in epoch ${now.epoch}`);
  }

  /** The taint by which an administrator says that a node is off. */
  async outOfService(node: string, on: boolean): Promise<void> {
    await this.world.kubectl("taint", "node", node, `node.kubernetes.io/out-of-service=nodeshutdown:NoExecute${on ? "" : "-"}`);
  }

  async powerOff(node: string): Promise<void> {
    await this.world.powerOff(node);
    if (this.guest(node).state !== "off") throw new Error(`${node} is still ${this.guest(node).state}`);
    this.engaged(`${node} lost power`);
  }

  /** Waits until nothing but partitions and their exports is left of any volume on a node. */
  untilTornDown(node: string, seconds = 120): Promise<void> {
    return eventually(`nothing but partitions is left on ${node}`, seconds, async () => {
      const left = (await traces(this.guest(node))).filter((line) => !/^(partition|export|port) /.test(line));
      return left.length === 0 || left.join(", ");
    });
  }

  /** The fault has ended: everything must become well by itself, and nothing may be missing. Leaves nothing. */
  async end(): Promise<Outcome> {
    const ended = Date.now();
    await this.untilWhole(HEALTHY_S).catch((error: Error) => {
      throw new NotHealthy(error.message);
    });
    const healthyMs = Date.now() - ended;
    this.say(`healthy ${(healthyMs / 1000).toFixed(1)} s after the fault's end`);
    await this.progress(30);
    const pauseMs = this.#longestPause();
    const { writer, registers, node } = this.duty;
    await writer.stop();
    await registers.stop();
    for (const helper of this.#helpers) {
      helper.kill("SIGKILL");
      await helper.exited;
    }
    const judged = await this.#readBack(node);
    await this.world.node(node).unmount(this.id);
    await this.#membersAreEqual();
    await deleteVolume(this.world, this.id);
    for (const name of this.world.names) expectNone(await traces(this.guest(name)), `left on ${name}`);
    return { ...judged, pauseMs, healthyMs };
  }

  /** Reads both files from the drives and judges them, and what was seen of the registers all the time. */
  async #readBack(node: string): Promise<{ acknowledged: number; reads: number }> {
    const guest = this.guest(node);
    expectNone(this.duty.writer.errors(), "errors of the last writer");
    await guest.sh("echo 3 >/proc/sys/vm/drop_caches");
    const claims = this.#duties.map(({ writer }) => ({ run: writer.run, acknowledged: Math.max(0, ...writer.acks().map(({ seq }) => seq)) }));
    const found = await readRecords(this.world.lab, guest, `${this.world.node(node).targetPath(this.id)}/records`);
    expectNone(judgeRecords(claims, found), "records");
    const judged = judgeRegisters(this.#duties.map(({ registers, frozenAtMs }) => ({ text: registers.text(), ...(frozenAtMs === undefined ? {} : { readsUntilMs: frozenAtMs }) })));
    expectNone(judged.wrong, "registers");
    return { acknowledged: claims.reduce((sum, { acknowledged }) => sum + acknowledged, judged.acknowledged), reads: judged.reads };
  }

  async #membersAreEqual(): Promise<void> {
    const volume = await this.volume();
    for (let mirror = 0; mirror < this.spec.stripe; mirror += 1) {
      const members = recorded(volume, mirror);
      const sums = await Promise.all(members.map((p) => dataChecksum(this.guest(p.nodeID), p)));
      if (sums.length !== this.spec.copies || new Set(sums).size !== 1) {
        throw new Violation(`members of mirror ${mirror} differ: ${members.map((p, at) => `${p.nodeID} ${sums[at]?.slice(0, 8)}`).join(", ")}`);
      }
    }
  }

  /** Of records, between two acknowledgements or until now, on all nodes together. */
  #longestPause(): number {
    const times = this.#duties.flatMap(({ writer }) => writer.acks().map(({ atMs = 0 }) => atMs)).toSorted((a, b) => a - b);
    const from = times.findLastIndex((at) => at <= this.#faultAtMs);
    return Math.max(0, ...times.slice(Math.max(1, from + 1)).map((at, i) => at - times[Math.max(1, from + 1) + i - 1]!));
  }

  /** Every mirror has all its copies in sync, and no partition is left over. */
  untilWhole(seconds = 90): Promise<unknown> {
    return this.world.untilVolume(this.id, "is healthy", seconds, (v) => {
      const { phase, mdState, degraded, partitions = [], mirrors = [], message = "", former = [] } = v.status ?? {};
      const counts = mirrors.map((_, mirror) => recorded(v, mirror).length);
      const whole = partitions.length === this.spec.copies * this.spec.stripe && partitions.every((p) => p.state === "Synced") && counts.every((n) => n === this.spec.copies);
      const parts = partitions.map((p) => `${p.nodeID} ${p.state}${p.message ? ` (${p.message})` : ""}`).join(", ");
      const names = former.map(({ nodeName }) => nodeName).join(", ");
      return (
        (whole && phase === "Synced" && mdState === "active" && degraded === 0) ||
        `${phase} ${mdState}, in sync ${counts.join("+")}: ${parts}; former owners: ${names || "none"}; ${message}`
      );
    });
  }
}

function expectNone(wrong: readonly string[], what: string): void {
  if (wrong.length > 0) throw new Violation(`${what}: ${wrong.slice(0, 5).join("; ")}${wrong.length > 5 ? `; ${wrong.length - 5} more` : ""}`);
}
