/** The figures as people read them. */
import { styleText } from "node:util";
import type { Figure } from "./figure.ts";

const COLOURS = { met: "green", missed: "red", shown: "dim" } as const;

/** One aligned table with a headline for each part. */
export function formatTable(figures: readonly Figure[], colour: boolean): string {
  const widths = { name: widest(figures, "name"), goal: Math.max("goal".length, widest(figures, "goal")) };
  const lines: string[] = [];
  let part = "";
  for (const figure of figures) {
    if (figure.part !== part) lines.push("", `${(part = figure.part).padEnd(widths.name + 2)}  ${"goal".padEnd(widths.goal)}          measured`);
    const verdict = (figure.verdict === "shown" ? "" : figure.verdict).padEnd("missed".length);
    lines.push(`  ${figure.name.padEnd(widths.name)}  ${figure.goal.padEnd(widths.goal)}  ${colour ? styleText(COLOURS[figure.verdict], verdict) : verdict}  ${figure.measured}`);
  }
  return `${lines.join("\n")}\n`;
}

function widest(figures: readonly Figure[], field: "name" | "goal"): number {
  return Math.max(0, ...figures.map((figure) => figure[field].length));
}
