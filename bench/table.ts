/** The figures as people read them. */
import { styleText } from "node:util";
import type { Figure } from "./figure.ts";

const COLOURS = { met: "green", missed: "red", shown: "dim" } as const;

/** One aligned table with a headline for each part. */
export function formatTable(figures: readonly Figure[], colour: boolean): string {
  const widths = { name: widest(figures, "name"), goal: Math.max(4, widest(figures, "goal")), measured: widest(figures, "measured") };
  const lines: string[] = [];
  let part = "";
  for (const figure of figures) {
    if (figure.part !== part) lines.push("", `${(part = figure.part).padEnd(widths.name + 2)}  ${"goal".padEnd(widths.goal)}  measured`);
    const verdict = figure.verdict === "shown" ? "" : colour ? styleText(COLOURS[figure.verdict], figure.verdict) : figure.verdict;
    lines.push(`  ${figure.name.padEnd(widths.name)}  ${figure.goal.padEnd(widths.goal)}  ${figure.measured.padEnd(widths.measured)}  ${verdict}`.trimEnd());
  }
  return `${lines.join("\n")}\n`;
}

function widest(figures: readonly Figure[], field: "name" | "goal" | "measured"): number {
  return Math.max(0, ...figures.map((figure) => figure[field].length));
}
