/**
 * The kernels of process guests (User Mode Linux), built from Debian's own kernel source packages.
 * Everything is built in, so one executable file is the whole artefact.
 */
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ensurePackages, unpackFromSuites } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import type { ResultPaths, SetupStep } from "./step.ts";
import { run } from "./run.ts";
import { patchKernel, PATCHES } from "./uml-patches.ts";

/** The kernel series that process guests can run. */
export type KernelSeries = "6.12" | "7.2";

const SOURCES: Record<KernelSeries, { readonly suite: string; readonly expected: string }> = {
  "6.12": { suite: "bookworm-backports", expected: "5 min" },
  "7.2": { suite: "trixie-backports", expected: "7 min" },
};

const TOOLS = ["flex", "bison", "bc", "gcc", "libc6-dev", "make", "xz-utils", "debian-archive-keyring"];

/** Builds (once) the process guests' kernel of a series; returns the executable's path as `kernel`, its config as `config`. */
export async function ensureUmlKernel(series: KernelSeries): Promise<ResultPaths> {
  const options = readFileSync(new URL("./uml-kernel.config", import.meta.url), "utf8");
  const own = optionsOf(series, options);
  const dir = await ensureArtefact({
    name: "uml-kernel",
    version: series,
    recipe: [own, JSON.stringify(PATCHES)],
    describe: `kernel ${series} for process guests: building`,
    expected: SOURCES[series].expected,
    build: (into) => build(series, own, into),
  });
  return { kernel: join(dir, "linux"), config: join(dir, "config") };
}

/** The step that the registry lists for a series. */
export function umlKernelStep(series: KernelSeries): SetupStep {
  return { name: `uml-kernel-${series}`, describe: `kernel ${series} for process guests`, ensure: () => ensureUmlKernel(series) };
}

/** md is built in and can use llbitmap from 7.2 on. */
function optionsOf(series: KernelSeries, common: string): string {
  return series === "6.12" ? common : `${common}CONFIG_MD_LLBITMAP=y\n`;
}

async function build(series: KernelSeries, options: string, into: string): Promise<void> {
  await ensurePackages(TOOLS);
  const work = join(into, "work");
  await run(["mkdir", "-p", work]);
  const name = `linux-source-${series}`;
  const versions = await unpackFromSuites([SOURCES[series].suite], [name], work);
  const tree = join(work, name);
  await run(["tar", "-xf", join(work, "usr/src", `${name}.tar.xz`), "-C", work]);
  patchKernel(tree);
  await configure(tree, options);
  const log = join(into, "build.log");
  await run(["nice", "make", "-C", tree, "ARCH=um", `-j${availableParallelism()}`, "linux"], { logPath: log });
  await run(["strip", "-o", join(into, "linux"), join(tree, "linux")]);
  copyFileSync(join(tree, ".config"), join(into, "config"));
  writeFileSync(join(into, "source-version"), `${versions.get(name) ?? "unknown"}\n`);
  rmSync(work, { recursive: true });
}

async function configure(tree: string, options: string): Promise<void> {
  await run(["make", "-C", tree, "ARCH=um", "x86_64_defconfig"]);
  const config = join(tree, ".config");
  writeFileSync(`${config}.new`, `${readFileSync(config, "utf8")}${options}`);
  renameSync(`${config}.new`, config);
  await run(["make", "-C", tree, "ARCH=um", "olddefconfig"]);
  const refused = refusedOptions(options, readFileSync(config, "utf8"));
  if (refused.length > 0) throw new Error(`the kernel's configuration refuses: ${refused.join(", ")}`);
}

/** The wanted option lines that a final .config contradicts. */
export function refusedOptions(wanted: string, config: string): string[] {
  const have = new Map<string, string>();
  for (const line of config.split("\n")) {
    const [, name, value] = /^(CONFIG_\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) have.set(name, value ?? "");
  }
  return wanted.split("\n").filter((line) => {
    const [, name, value] = /^(CONFIG_\w+)=(.*)$/.exec(line) ?? [];
    const off = /^# (CONFIG_\w+) is not set$/.exec(line)?.[1];
    if (off !== undefined) return have.has(off);
    return name !== undefined && (have.get(name) ?? "n") !== value;
  });
}
