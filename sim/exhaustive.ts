/**
 * The exhaustive driver: everything that can follow from a scene, to a depth and within a budget of faults. Breadth
 * first, so that a state is met first at its least depth: a bound on depth then prunes rightly, and the
 * first violation found is a shortest one. States that are equal in canonical form are explored once.
 */
import type { World } from "../src/core/testing/world.ts";
import type { Violation } from "../src/core/testing/world.ts";
import { hashOf } from "./canonical.ts";
import { cloneWorld, isAtRest } from "./clone.ts";
import type { Budget, Event } from "./events.ts";
import type { Grain } from "./grain.ts";
import { menu } from "./events.ts";
import type { Beginning, History, Stage, Step } from "./history.ts";
import { attempt, carryOut, quickErrors, stageOf } from "./history.ts";
import { Recorder, recorded } from "./recording.ts";
import { SCENES } from "./scenes.ts";

export interface Bounds {
  grain: Grain;
  depth: number;
  faults: number;
  writes: number;
  ticks: number;
  /** Every how many states one is followed to its end: all faults stop, the volume must become healthy. 0: none. */
  livenessEvery: number;
  /** Most states; the search ends unfinished at the depth where it meets them. */
  states: number;
  /** Ends the search at the next state. */
  stop?: () => boolean;
  /** From which copy a state is carried out again: the nearest world at rest (default), or the scene itself. */
  replayFrom?: "rest" | "scene";
}

/** Figures of a search, also while it runs. */
export interface Figures {
  states: number;
  transitions: number;
  /** Deepest level of which every state is known. */
  depth: number;
  /** States met at each depth. */
  levels: number[];
  followed: number;
  /** Steps carried out only to come to a state again. */
  replayed: number;
}

export interface Result extends Figures {
  /** Everything within the bounds was seen. */
  complete: boolean;
  violation: { violation: Violation; history: History } | null;
}

/** A state as the way to it. */
interface Node {
  parent: Node | null;
  step: Step | null;
  budget: Budget;
  /** The world itself, kept for a while if it can be copied. */
  kept: World | null;
}

/** Chance at which a choice counts as a fault: what the model draws as trouble. */
const TROUBLE = 1 / 64;
/** Worlds kept for copying. */
const KEPT = 4_000;

export interface SearchHooks {
  mutation?: string;
  /** The world of the scene, before anything follows. */
  begun?: (world: World) => void;
  /** Called now and then. */
  progress?: (figures: Figures) => void;
  /** After every transition; `from` is where its own entries begin. */
  visit?: (world: World, step: Step, from: { log: number; trace: number }) => void;
}

export function search(scene: string, bounds: Bounds, options: SearchHooks = {}): Result {
  return quickErrors(() => new Search(scene, bounds, options).run());
}

class Search {
  readonly #beginning: Beginning;
  readonly #bounds: Bounds;
  readonly #hooks: SearchHooks;
  readonly #wishes: readonly string[];
  readonly #visited = new Set<string>();
  readonly #kept: Node[] = [];
  readonly #figures: Figures = { states: 0, transitions: 0, depth: 0, levels: [], followed: 0, replayed: 0 };
  #violation: Result["violation"] = null;
  /** Last made-up UUID of the scene. */
  #known = 0;

  constructor(scene: string, bounds: Bounds, options: SearchHooks) {
    const { placement, wishes } = SCENES[scene]!;
    this.#beginning = { scene, copies: placement.length, stripes: 1, placement, ...(options.mutation === undefined ? {} : { mutation: options.mutation }) };
    this.#bounds = bounds;
    this.#wishes = wishes;
    this.#hooks = options;
  }

  run(): Result {
    const { faults, writes, ticks, depth } = this.#bounds;
    const root: Node = { parent: null, step: null, budget: { faults, writes, ticks, wishes: this.#wishes }, kept: null };
    const stage = stageOf(this.#beginning);
    stage.world.trouble = TROUBLE;
    this.#hooks.begun?.(stage.world);
    root.kept = stage.world;
    this.#known = stage.world.nextID;
    this.#note(stage.world, root);
    let level = [root];
    for (let at = 0; at < depth && level.length > 0; at += 1) {
      const next: Node[] = [];
      for (const node of level) {
        if (!this.#expand(node, next)) return { ...this.#figures, complete: false, violation: this.#violation };
        this.#hooks.progress?.(this.#figures);
      }
      this.#figures.depth = at + 1;
      this.#figures.levels.push(next.length);
      level = next;
    }
    return { ...this.#figures, complete: true, violation: null };
  }

  /** Everything that can follow from one state; false if the search ends here. */
  #expand(node: Node, next: Node[]): boolean {
    const world = node.kept ?? this.#come(node).world;
    for (const event of menu(world, node.budget, this.#bounds.grain)) {
      const open: number[][] = [[]];
      for (let draws = open.pop(); draws !== undefined; draws = open.pop()) {
        const child = this.#transition(node, event, draws, open);
        if (child === "violation") return false;
        if (child) next.push(child);
      }
      if (this.#figures.states >= this.#bounds.states || this.#bounds.stop?.()) return false;
    }
    return true;
  }

  /** One event with one list of choices; the other lists that it can have are added to `open`. */
  #transition(node: Node, event: Event, draws: number[], open: number[][]): Node | "violation" | null {
    const { world, recorder } = this.#come(node);
    const from = { log: world.log.length, trace: world.trace.length };
    let budget = spend(node.budget, event.costs);
    let drawn = 0;
    recorder.lead((n, p) => {
      const at = drawn;
      drawn += 1;
      const trouble = p === TROUBLE;
      const value = draws[at] ?? 0;
      if (at >= draws.length && !(trouble && budget.faults === 0)) for (let other = 1; other < n; other += 1) open.push([...recorder.drawn, other]);
      if (trouble && value === 1) budget = { ...budget, faults: budget.faults - 1 };
      return value;
    });
    const violation = attempt(() => carryOut(world, event.move));
    const step: Step = { move: event.move, draws: recorder.take() };
    this.#figures.transitions += 1;
    this.#hooks.visit?.(world, step, from);
    const child: Node = { parent: node, step, budget, kept: null };
    if (violation) return this.#found(child, violation);
    if (!this.#note(world, child)) return null;
    if (this.#bounds.livenessEvery > 0 && this.#figures.states % this.#bounds.livenessEvery === 0 && !this.#follow(child)) return "violation";
    return child;
  }

  /** The world of a state, to be used up: a copy of one that was kept, and from there by carrying the steps out again. */
  #come(node: Node): Stage {
    const way: Step[] = [];
    let from = node;
    while (!from.kept) {
      way.push(from.step!);
      from = from.parent!;
    }
    const recorder = new Recorder(() => 0);
    const world = cloneWorld(from.kept, recorder.choices);
    for (const step of way.toReversed()) {
      recorder.lead(recorded(step.draws));
      carryOut(world, step.move);
    }
    recorder.take();
    this.#figures.replayed += way.length;
    return { world, recorder };
  }

  /** Whether the state is new. */
  #note(world: World, node: Node): boolean {
    const name = `${hashOf(world, this.#known)}${node.budget.faults}${node.budget.writes}${node.budget.ticks}${node.budget.wishes.length}`;
    if (this.#visited.has(name)) return false;
    this.#visited.add(name);
    this.#figures.states += 1;
    if (this.#bounds.replayFrom !== "scene" && node.parent && isAtRest(world)) this.#keep(node, world);
    return true;
  }

  #keep(node: Node, world: World): void {
    node.kept = world;
    this.#kept.push(node);
    if (this.#kept.length > KEPT) this.#kept.shift()!.kept = null;
  }

  /** Faults end here: the volume becomes healthy, moves, and goes without a trace. */
  #follow(node: Node): boolean {
    const { world, recorder } = this.#come(node);
    this.#figures.followed += 1;
    const violation = attempt(() => carryOut(world, "liveness"));
    if (!violation) return true;
    this.#found({ parent: node, step: { move: "liveness", draws: recorder.take() }, budget: node.budget, kept: null }, violation);
    return false;
  }

  #found(node: Node, violation: Violation): "violation" {
    const steps: Step[] = [];
    for (let at: Node | null = node; at?.step; at = at.parent) steps.push(at.step);
    steps.push({ move: `trouble ${TROUBLE}`, draws: [] });
    this.#violation = { violation, history: { beginning: this.#beginning, steps: steps.toReversed() } };
    return "violation";
  }
}

function spend(budget: Budget, costs: keyof Budget | null): Budget {
  if (costs === null) return budget;
  return costs === "wishes" ? { ...budget, wishes: budget.wishes.slice(1) } : { ...budget, [costs]: budget[costs] - 1 };
}
