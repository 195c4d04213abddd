/** Histories in files: written when a rule breaks, read to be carried out again. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import type { History } from "./history.ts";

const schema = z.object({
  format: z.literal("meshstor-history-1"),
  /** The rule that it breaks, in words; null if none. */
  end: z.string().nullable(),
  beginning: z.object({
    copies: z.int(),
    stripes: z.int(),
    placement: z.array(z.string()),
    seed: z.int().exactOptional(),
    guards: z.boolean().exactOptional(),
    kind: z.enum(["xfs", "ext4", "block"]).exactOptional(),
    scene: z.string().exactOptional(),
    mutation: z.string().exactOptional(),
  }),
  steps: z.array(z.tuple([z.string(), z.array(z.int())])),
});

export function writeHistory(file: string, history: History, end: string | null): void {
  mkdirSync(dirname(file), { recursive: true });
  const steps = history.steps.map((step) => `    ${JSON.stringify([step.move, step.draws])}`).join(",\n");
  const head = `  "format": "meshstor-history-1",\n  "end": ${JSON.stringify(end)},\n  "beginning": ${JSON.stringify(history.beginning)},\n`;
  writeFileSync(file, `{\n${head}  "steps": [\n${steps}\n  ]\n}\n`);
}

/** Throws where the file is none of ours. */
export function readHistory(file: string): { history: History; end: string | null } {
  const { beginning, steps, end } = schema.parse(JSON.parse(readFileSync(file, "utf8")));
  return { history: { beginning, steps: steps.map(([move, draws]) => ({ move, draws })) }, end };
}
