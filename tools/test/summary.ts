/** The end of a run: one row per part, slowest first within its kind, then the totals. */
import type { StageResult } from "./stage.ts";
import { seconds } from "./stage.ts";

function verdict(result: StageResult): string {
  if (result.failed > 0) return "FAIL";
  return result.passed === 0 && result.skipped > 0 ? "skip" : "ok";
}

/** Rows are cut to `width` columns. */
export function summaryTable(results: readonly StageResult[], width = 160): string {
  const nameWidth = Math.max(...results.map((result) => result.name.length));
  const rows = results.map((result) => {
    const count = result.passed + result.failed + result.skipped;
    const remark = [count > 1 ? `${result.passed} of ${count}` : "", result.remark ?? "", result.artefacts ? `-> ${result.artefacts}` : ""].filter((part) => part !== "");
    const row = `  ${verdict(result).padEnd(5)} ${result.name.padEnd(nameWidth)} ${seconds(result.ms).padStart(12)}  ${remark.join("  ")}`;
    return (result.artefacts ? row : row.slice(0, width)).trimEnd();
  });
  return rows.join("\n");
}
