/** Helm, with which the chart is tested; built from the Go module that tools/helm pins. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ensureArtefact } from "./cache.ts";
import { buildProgram } from "./kubernetes-go.ts";
import type { SetupStep } from "./step.ts";

const moduleDir = resolve(import.meta.dirname, "../helm");

/** Makes sure that Helm exists. @returns its path @throws Error when there is no Go, or the module cannot be had */
export async function ensureHelm(): Promise<string> {
  const pins = ["go.mod", "go.sum"].map((file) => readFileSync(join(moduleDir, file), "utf8"));
  const version = /helm\.sh\/helm\/v4 (v[\d.]+)/.exec(pins[0]!)?.[1];
  if (version === undefined) throw new Error(`${moduleDir}/go.mod does not require helm.sh/helm/v4`);
  const dir = await ensureArtefact({
    name: "helm",
    version,
    recipe: pins,
    describe: `helm ${version}: building from Go modules`,
    expected: "3 min",
    build: (building) => buildProgram({ moduleDir, package: "helm.sh/helm/v4/cmd/helm", linkFlags: "-s -w", output: join(building, "helm") }),
  });
  return join(dir, "helm");
}

/** The step that the registry lists. */
export const helmStep: SetupStep = { name: "helm", describe: "Helm", ensure: async () => ({ helm: await ensureHelm() }) };
