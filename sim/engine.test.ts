/** The engine: same seed same history, replay, shrinking, canonical form, exhaustive search. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { choicesFrom } from "../src/core/testing/choices.ts";
import { prng } from "../src/core/testing/prng.ts";
import { nodeOf } from "../src/core/testing/world.ts";
import { canonical, hashOf } from "./canonical.ts";
import { cloneWorld } from "./clone.ts";
import type { Bounds } from "./exhaustive.ts";
import { search } from "./exhaustive.ts";
import { readHistory, writeHistory } from "./history-file.ts";
import { carryOut, replay, stageOf } from "./history.ts";
import { randomHistory } from "./random.ts";
import { drawsOf, recorded, Recorder } from "./recording.ts";
import { beginningOf, SCENES } from "./scenes.ts";
import { shrink } from "./shrink.ts";
import { tell } from "./story.ts";

const quiet = choicesFrom(() => 0);
const pair = { copies: 2, stripes: 1, placement: ["a", "b"] };
const BOUNDS: Bounds = { grain: "step", depth: 2, faults: 1, writes: 1, ticks: 1, livenessEvery: 0, states: 100_000 };

/** First seed that a planted fault breaks. */
function failing(mutation: string) {
  for (let seed = 1; ; seed += 1) {
    const { history, end } = randomHistory(seed, { mutation });
    if (end.violation) return { history, violation: end.violation };
  }
}

test("the same seed is the same history, another seed is another", () => {
  const [one, again, other] = [7, 7, 8].map((seed) => randomHistory(seed));
  assert.deepEqual(again!.history, one!.history);
  assert.notDeepEqual(other!.history, one!.history);
});

test("a history carried out again draws the same and ends in the same world", () => {
  const { history, end } = randomHistory(11);
  const again = replay(history);
  assert.deepEqual({ steps: again.steps, violation: again.violation, world: canonical(again.world) }, { steps: history.steps, violation: null, world: canonical(end.world) });
});

test("choices written down and read back; one that does not fit is brought into range, one that is missing is quiet", () => {
  const recorder = new Recorder(drawsOf(prng(5)));
  const draw = ({ choices }: Recorder) => [
    choices.int(10),
    choices.chance(0.5),
    choices.pick(["x", "y", "z"]),
    choices.shuffle([1, 2, 3, 4]),
    choices.chance(0),
    choices.chance(1),
  ];
  const first = draw(recorder);
  const draws = recorder.take();
  recorder.lead(recorded(draws));
  assert.deepEqual([draw(recorder), recorder.take()], [first, draws]);
  recorder.lead(recorded([99]));
  assert.deepEqual(draw(recorder), [9, false, "x", [1, 2, 3, 4], false, true]);
});

test("a failing history is made short, breaks the same rule, and is told, written, read and carried out to the same end", () => {
  const { history, violation } = failing("disconnect-before-fail");
  const shrunk = shrink(history, { tries: 150 });
  assert.equal(shrunk.violation.rule, violation.rule);
  assert.ok(
    shrunk.tries <= 150 && shrunk.history.steps.length < history.steps.length / 2,
    `${shrunk.history.steps.length} of ${history.steps.length} steps after ${shrunk.tries} tries`,
  );
  const folder = mkdtempSync(join(tmpdir(), "meshstor-sim-"));
  try {
    const file = join(folder, "h.json");
    writeHistory(file, shrunk.history, shrunk.violation.message);
    const read = readHistory(file);
    assert.deepEqual(read, { history: shrunk.history, end: shrunk.violation.message });
    assert.equal(replay(read.history).violation?.message, read.end);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const story = tell(shrunk.history);
  assert.match(story, /^begins with a volume just requested/);
  assert.match(story, new RegExp(`broken after step ${shrunk.history.steps.length}: ${violation.rule}: `));
});

test("a history that keeps every rule is not shrunk", () => {
  assert.throws(() => shrink({ beginning: pair, steps: [{ move: "step", draws: [] }] }), /keeps every rule/);
});

test("canonical: names made up, numbers of writes and the time of day make no difference; contents, messages and wishes do", () => {
  const world = () => beginningOf({ ...pair, scene: "in-use" }, quiet);
  const base = hashOf(world());
  const same = world();
  same.nowMs += 0;
  same.nextWrite += 100;
  same.nextID += 7;
  same.log.push({ nowMs: 0, line: "told" });
  for (const blocks of same.acked) blocks.forEach((value, i) => (blocks[i] = value * 10));
  for (const p of same.nodes.flatMap((n) => n.drives.flatMap((d) => d.parts))) p.content = p.content.map((value) => (value > 0 ? value * 10 : value));
  assert.equal(hashOf(same), base);
  const changes: ((w: ReturnType<typeof world>) => void)[] = [
    (w) => (nodeOf(w, "b").drives[0]!.parts[0]!.content[2] = 99),
    (w) => (nodeOf(w, "a").wants = "unstage"),
    (w) => (nodeOf(w, "b").agent.cache -= 1),
    (w) => (nodeOf(w, "a").conns[0]!.broken = true),
    (w) => w.cuts.add("a-b"),
    (w) => nodeOf(w, "a").arrays[0]!.bitmap.add(3),
    (w) => nodeOf(w, "b").exports[0]!.late.push({ block: 1, phase: "data", value: 1 }),
    (w) => (nodeOf(w, "c").agent.session = { ...nodeOf(w, "c").agent.session, claimedEpoch: 1 }),
  ];
  const hashes = changes.map((change) => {
    const w = world();
    change(w);
    return hashOf(w);
  });
  assert.equal(new Set([base, ...hashes]).size, changes.length + 1);
});

test("a copy of a world is equal, shares nothing that changes, and is refused while a pass is under way", () => {
  const world = beginningOf({ ...pair, scene: "in-use" }, quiet);
  const copy = cloneWorld(world, quiet);
  assert.equal(canonical(copy), canonical(world));
  const before = canonical(world);
  for (const move of ["write a 0", "io a 0 0 bbbbbbbb-0000-4000-8000-000000000000", "break a 0", "off b"]) carryOut(copy, move);
  assert.equal(canonical(world), before);
  assert.notEqual(canonical(copy), before);
  const { world: busy } = stageOf({ ...pair, scene: "requested" });
  carryOut(busy, "agent a");
  carryOut(busy, "agent a");
  assert.throws(() => cloneWorld(busy, quiet), /pass under way/);
});

test("exhaustive: the same states whether carried out again from the scene or from a copy; figures add up", () => {
  const [rest, scene] = (["rest", "scene"] as const).map((replayFrom) => search("in-use", { ...BOUNDS, replayFrom }));
  const { replayed: _fromRest, ...one } = rest!;
  const { replayed: _fromScene, ...other } = scene!;
  assert.deepEqual(one, other);
  assert.deepEqual([one.complete, one.depth, one.violation, one.states], [true, 2, null, 1 + one.levels.reduce((a, b) => a + b, 0)]);
});

test("exhaustive: a planted fault is found, by a shortest history that replays to the same end", () => {
  const bounds = { ...BOUNDS, depth: 4, faults: 0, writes: 0, ticks: 0, grain: "batch" as const };
  assert.equal(search("in-use", bounds).violation, null);
  const { violation, depth } = search("in-use", bounds, { mutation: "unstaged-too-early" });
  const end = replay(violation!.history);
  assert.deepEqual([end.violation?.message, end.violation?.rule, depth], [violation!.violation.message, "I8", 2]);
});

test("every scene begins at rest and keeps every rule", () => {
  for (const [name, { placement }] of Object.entries(SCENES)) {
    const { world } = stageOf({ copies: placement.length, stripes: 1, placement, scene: name });
    carryOut(world, "detect");
  }
});
