/** What a run has exercised: actions and their failures, moves, changes of the record, sentences of planner and model. */
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { MeshStorVolume, VolumeStatus } from "../src/api/volume.ts";
import { PARTITION_STATES } from "../src/api/volume.ts";
import { ACTION_KINDS } from "../src/core/action.ts";
import type { Plan } from "../src/core/plan-types.ts";
import type { World } from "../src/core/testing/world.ts";
import type { Sentence } from "./sentences.ts";
import { sentencesIn } from "./sentences.ts";

const CORE = join(import.meta.dirname, "../src/core");

/** What there is to exercise, by topic; each name with how often it was, 0 where never. */
export interface Report {
  actions: Record<string, number>;
  failures: Record<string, number>;
  moves: Record<string, number>;
  states: Record<string, number>;
  transitions: Record<string, number>;
  planner: Record<string, number>;
  model: Record<string, number>;
}

/** Sentences of source files of the core. */
function catalogue(pattern: string, line = /./): Sentence[] {
  const files = globSync(pattern, { cwd: CORE }).filter((file) => !file.endsWith(".test.ts"));
  return files.flatMap((file) => {
    const lines = readFileSync(join(CORE, file), "utf8").split("\n");
    return sentencesIn(basename(file), lines.map((text) => (line.test(text) ? text : "")).join("\n"));
  });
}

/** What the planner decides and why. */
const PLANNER = ["plan*.ts", "local-copy.ts"].flatMap((pattern) => catalogue(pattern)).filter(({ file }) => file !== "plan-publish.ts");
/** What happens in the model, and how its actions fail. */
const MODEL = catalogue("testing/*.ts", /say\(w, [`"](?!.*failed: )|hostError\(/);

export class Coverage {
  readonly #actions = new Counter(ACTION_KINDS);
  readonly #failures = new Counter([]);
  readonly #moves = new Counter([]);
  readonly #states = new Counter(PARTITION_STATES);
  readonly #transitions = new Counter([]);
  readonly #planner = new Said(PLANNER);
  readonly #model = new Said(MODEL);
  readonly #versions = new WeakSet<MeshStorVolume>();

  /** Every plan of this world from now on is looked at. */
  watch(world: World): void {
    const { plan } = world.protocol;
    world.protocol = {
      ...world.protocol,
      plan: (input, w, n) => {
        const made = plan(input, w, n);
        this.#planned(made);
        return made;
      },
    };
  }

  move(move: string): void {
    this.#moves.count(move.split(" ")[0]!);
  }

  /** What happened in a world, from an entry of its log and trace on. */
  world(world: World, from: { log: number; trace: number } = { log: 0, trace: 0 }): void {
    for (const { kind } of world.trace.slice(from.trace)) this.#actions.count(kind);
    // What is made only when somebody reads it says nothing that the trace and the record do not say.
    for (let i = from.log; i < world.log.length; i += 1) {
      const { line } = world.log[i]!;
      if (typeof line === "string") this.#line(line);
    }
    const { versions } = world.api;
    for (let i = versions.length - 1; i > 0; i -= 1) {
      const version = versions[i];
      if (!version) continue;
      if (this.#versions.has(version)) break;
      this.#versions.add(version);
      this.#changed(versions[i - 1]?.status ?? {}, version.status ?? {});
    }
  }

  #line(line: string): void {
    const [before, reason] = line.split(" failed: ");
    this.#model.say(reason ?? line);
    if (reason !== undefined) this.#failures.count(before!.split(" ")[1]!);
  }

  #planned(plan: Plan): void {
    for (const sentence of plan.waits) this.#planner.say(sentence);
    if (plan.refusal) this.#planner.say(plan.refusal.message);
    for (const action of plan.actions) {
      this.#planner.say(action.why);
      if (action.kind === "RecordFaulty") this.#planner.say(action.message);
    }
  }

  #changed(old: VolumeStatus, now: VolumeStatus): void {
    for (const p of now.partitions ?? []) {
      const before = old.partitions?.find((x) => x.partitionUUID === p.partitionUUID);
      this.#states.count(p.state);
      if (before && before.state !== p.state) this.#transitions.count(`${before.state} → ${p.state}`);
    }
    if (now.owner && now.epoch !== old.epoch) this.#transitions.count(`claimed: ${now.owner.start}`);
    if (!now.owner && old.owner) this.#transitions.count(`released: ${now.lastStop ?? "?"}`);
    for (const mirror of now.mirrors ?? []) {
      const size = old.mirrors?.[mirror.index]?.inSync.length;
      if (size !== undefined && size !== mirror.inSync.length) this.#transitions.count(size < mirror.inSync.length ? "R grows" : "R shrinks");
    }
  }

  report(): Report {
    return {
      actions: this.#actions.all(),
      failures: this.#failures.all(),
      moves: this.#moves.all(),
      states: this.#states.all(),
      transitions: this.#transitions.all(),
      planner: this.#planner.all(),
      model: this.#model.all(),
    };
  }
}

class Counter {
  readonly #counts: Map<string, number>;

  constructor(names: readonly string[]) {
    this.#counts = new Map(names.map((name) => [name, 0]));
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  all(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** Texts remembered as they are. */
const TEXTS = 20_000;

/** Sentences against what was said. Names and numbers are left out of what is remembered, so that it stays small. */
class Said {
  readonly #counter: Counter;
  readonly #sentences: readonly Sentence[];
  readonly #known = new Map<string, string | null>();
  readonly #texts = new Map<string, string | null>();

  constructor(sentences: readonly Sentence[]) {
    this.#sentences = sentences;
    this.#counter = new Counter(sentences.map(nameOf));
  }

  say(text: string): void {
    let name = this.#texts.get(text);
    if (name === undefined) {
      name = this.#find(text);
      if (this.#texts.size >= TEXTS) this.#texts.clear();
      this.#texts.set(text, name);
    }
    if (name !== null) this.#counter.count(name);
  }

  #find(text: string): string | null {
    const key = text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|\b[abc]\b|\d+/g, "#");
    let name = this.#known.get(key);
    if (name === undefined) {
      const sentence = this.#sentences.find((s) => s.pattern.test(text));
      name = sentence ? nameOf(sentence) : null;
      this.#known.set(key, name);
    }
    return name;
  }

  all(): Record<string, number> {
    return this.#counter.all();
  }
}

function nameOf({ file, text }: Sentence): string {
  return `${file}: ${text}`;
}

/** For a person: how much of each topic, and every name that was never exercised. */
export function reportText(report: Report): string {
  const topics: [string, Record<string, number>][] = [
    ["actions carried out", report.actions],
    ["states of partitions", report.states],
    ["sentences of the planner", report.planner],
    ["events of the model", report.model],
  ];
  const lines = topics.flatMap(([topic, counts]) => {
    const names = Object.keys(counts);
    const never = names.filter((name) => counts[name] === 0);
    return [`${topic}: ${names.length - never.length} of ${names.length}${never.length > 0 ? ", never:" : ""}`, ...never.map((name) => `  ${name}`)];
  });
  return [...lines, `actions that failed: ${counted(report.failures)}`, `changes of the record: ${counted(report.transitions)}`, `moves: ${counted(report.moves)}`].join("\n");
}

function counted(counts: Record<string, number>): string {
  const all = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  return all.map(([name, times]) => `${name} ${times}`).join(", ");
}
