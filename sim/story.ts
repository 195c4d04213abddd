/** A history for a person: numbered steps, what each node did, what the record said, what broke, and the rule. */
import type { World } from "../src/core/testing/world.ts";
import type { Beginning, History } from "./history.ts";
import { replay } from "./history.ts";
import { SCENES } from "./scenes.ts";

/** A step with all that was said in it. */
interface Chapter {
  number: number;
  move: string;
  lines: string[];
}

/** The whole story; steps in which nothing was said are left out, their numbers stay. */
export function tell(history: History): string {
  const chapters: Chapter[] = [];
  let told = 0;
  let number = 0;
  const { violation } = replay(history, (world, { move }) => {
    number += 1;
    const lines = linesOf(world, told);
    told = world.log.length;
    if (lines.length > 0) chapters.push({ number, move, lines });
  });
  const end = violation ? `broken after step ${number}: ${violation.rule}: ${textAfterRule(violation)}` : `step ${number}: every rule holds`;
  return [`begins with ${beginningText(history.beginning)}`, ...chapters.map(chapterText), end].join("\n");
}

/** What was said, with its time; what is said over and over is said once, with how often. */
function linesOf(world: World, from: number): string[] {
  const said = world.log.slice(from).map(({ nowMs, line }) => ({ nowMs, text: typeof line === "string" ? line : line(), times: 1 }));
  const lines: typeof said = [];
  for (const line of said) {
    const same = lines.at(-1);
    if (same?.text === line.text) same.times += 1;
    else lines.push(line);
  }
  return lines.map(({ nowMs, text, times }) => `${(nowMs / 1_000).toFixed(1).padStart(7)} s  ${text}${times > 1 ? `  (${times} times)` : ""}`);
}

function chapterText({ number, move, lines }: Chapter): string {
  const indent = " ".repeat(26);
  return lines.map((line, i) => (i === 0 ? `${String(number).padStart(4)}  ${move.slice(0, 18).padEnd(18)}  ${line}` : `${indent}${line}`)).join("\n");
}

function textAfterRule({ rule, message }: { rule: string; message: string }): string {
  return message.startsWith(`${rule}: `) ? message.slice(rule.length + 2) : message;
}

export function beginningText({ scene, copies, stripes, placement, kind, mutation }: Beginning): string {
  const volume =
    scene === undefined
      ? `${kind === undefined ? "a volume" : `a volume (${kind})`} just requested: ${copies} × ${stripes}, on ${placement.join(", ")}`
      : `scene ${scene}: ${SCENES[scene]!.tells}`;
  return mutation === undefined ? volume : `${volume}; planted: ${mutation}`;
}
