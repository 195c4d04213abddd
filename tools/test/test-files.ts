/**
 * Which test file belongs where:
 *
 *   *.test.ts in src, sim and tools unit tests: part of `npm run check`; no root, no network, no other program
 *   *.contract.test.ts, lab tests   against real programs (etcd, kube-apiserver): part of `npm test`
 *   test/scenarios/*.scenario.ts    stories in the lab: part of `npm test`, each a process of its own
 *   *.lab.ts in folders of test     the same for one layer on a real kernel
 *   test/e2e/*.e2e.ts               stories with real peers (kubelet, sidecars, csi-sanity): `npm run e2e`; those without `@byname` also part of `npm test`
 */
import { globSync } from "node:fs";
import { ROOT } from "./command.ts";

function files(...patterns: string[]): string[] {
  return globSync(patterns, { cwd: ROOT }).toSorted();
}

const isContract = (file: string) => file.endsWith(".contract.test.ts") || file.startsWith("lab/");

/** Paths under the project's root. */
export function unitTests(): string[] {
  return files("src/**/*.test.ts", "sim/**/*.test.ts", "tools/**/*.test.ts", "test/**/*.test.ts").filter((file) => !isContract(file));
}

export function contractTests(): string[] {
  return files("src/**/*.contract.test.ts", "test/**/*.contract.test.ts", "lab/**/*.test.ts");
}

export function scenarioFiles(): string[] {
  return files("test/scenarios/*.scenario.ts", "test/**/*.lab.ts", "test/e2e/*.e2e.ts");
}

export function e2eFiles(): string[] {
  return files("test/e2e/*.e2e.ts");
}
