/**
 * QEMU 10 from Debian's backports, unpacked beside the host with every library and firmware it needs
 * (the host's own QEMU 7.2 loses NVMe commands). Nothing is installed; it runs with its own loader.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { unpackFromSuites } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

const RELEASE = "bookworm";
const BACKPORTS = `${RELEASE}-backports`;
const MAJOR = "10";

/** What is unpacked for its own sake; the rest are dependencies. */
const PACKAGES = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"];

/** What is kept of the packages: the program, its libraries, its firmware. */
const KEPT = ["usr/bin/qemu-system-x86_64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/share/qemu", "usr/share/seabios"];

/** Unpacks (once) QEMU; returns its directory as `root`, to be run with {@link qemuCommand}. */
export async function ensureQemu(): Promise<ResultPaths> {
  const root = await ensureArtefact({
    name: "qemu",
    version: MAJOR,
    recipe: [BACKPORTS, ...PACKAGES, ...KEPT],
    describe: `QEMU ${MAJOR} for emulated guests: unpacking`,
    expected: "10 s",
    build,
  });
  return { root };
}

/** The step that the registry lists. */
export const qemuStep: SetupStep = { name: "qemu", describe: "QEMU for emulated guests", ensure: ensureQemu };

/** The beginning of a command line that runs QEMU from where it was unpacked. */
export function qemuCommand(root: string): string[] {
  const libraries = ["lib", "usr/lib"].map((dir) => join(root, dir, "x86_64-linux-gnu"));
  const firmware = ["qemu", "seabios"].flatMap((name) => ["-L", join(root, "usr/share", name)]);
  const loader = join(root, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
  return [loader, "--library-path", libraries.join(":"), join(root, "usr/bin/qemu-system-x86_64"), ...firmware];
}

async function build(into: string): Promise<void> {
  const work = join(into, "work");
  mkdirSync(work);
  const versions = await unpackFromSuites([RELEASE, BACKPORTS], withDependencies, work);
  for (const path of KEPT) {
    if (!existsSync(join(work, path))) throw new Error(`QEMU's packages have no ${path}`);
    mkdirSync(dirname(join(into, path)), { recursive: true });
    renameSync(join(work, path), join(into, path));
  }
  rmSync(work, { recursive: true });
  const said = await run([...qemuCommand(into), "--version"]);
  if (!said.includes(`version ${MAJOR}.`)) throw new Error(`this is not QEMU ${MAJOR}: ${said}`);
  writeFileSync(join(into, "packages.txt"), [...versions].map(([name, version]) => `${name} ${version}\n`).join(""));
}

/** Everything that would be installed on a machine that has no package at all. */
async function withDependencies(options: readonly string[]): Promise<string[]> {
  const emptyStatus = ["-o", "Dir::State::status=/dev/null"];
  const names = PACKAGES.map((name) => `${name}/${BACKPORTS}`);
  const plan = await run(["apt-get", ...options, ...emptyStatus, "-q", "--simulate", "install", "--no-install-recommends", ...names]);
  return [...plan.matchAll(/^Inst (\S+) \((\S+) /gm)].map(([, name, version]) => `${name}=${version}`);
}
