/**
 * Debian packages for set-up: what is missing on the machine, and files of other suites' packages.
 * Other suites are read through an apt configuration of our own, derived from the machine's sources
 * (same mirror, other suite, same keyring); the machine's own configuration is never changed.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot, withLock } from "./cache.ts";
import { withProgress } from "./progress.ts";
import { run } from "./run.ts";

/** Where the machine gets Debian from. */
export interface Mirror {
  readonly uri: string;
  readonly components: readonly string[];
}

/** Debian's own keys (package debian-archive-keyring), which must have signed every suite we read. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

const ENV = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };

/** Installs those of the named packages that are not installed; nothing at all when none is missing. */
export async function ensurePackages(names: readonly string[]): Promise<void> {
  const missing = await missingPackages(names);
  if (missing.length === 0) return;
  mkdirSync(cacheRoot(), { recursive: true });
  await withLock(join(cacheRoot(), "apt-install.lock"), async () => {
    const still = await missingPackages(missing);
    if (still.length === 0) return;
    await withProgress(`Debian packages: installing ${still.join(" ")}`, "30 s", () => install(still));
  });
}

async function install(names: readonly string[]): Promise<void> {
  const command = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends", ...names];
  try {
    await run(command, { env: ENV });
  } catch {
    // The lists may be absent (a fresh container) or out of date.
    await run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"], { env: ENV });
    await run(command, { env: ENV });
  }
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  const format = "${Package} ${db:Status-Status}\\n";
  const out = await run(["sh", "-c", 'dpkg-query -W -f "$0" "$@" 2>/dev/null || true', format, ...names]);
  const installed = new Set(
    out
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return names.filter((name) => !installed.has(name));
}

/** The mirror from which this machine gets Debian itself (not its security updates); an error says when there is none. */
export async function debianMirror(): Promise<Mirror> {
  const found = (await readMirror()) ?? (await refreshAndReadMirror());
  if (found === undefined) throw new Error("no Debian mirror among this machine's apt sources (apt-get indextargets shows none)");
  return found;
}

async function refreshAndReadMirror(): Promise<Mirror | undefined> {
  await run(["apt-get", "-q", "update"], { env: ENV });
  return readMirror();
}

async function readMirror(): Promise<Mirror | undefined> {
  const format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";
  const out = await run(["apt-get", "indextargets", "--format", format, "Created-By: Packages"], { env: ENV });
  const rows = out
    .trim()
    .split("\n")
    .map((line) => line.split("|"));
  // The release's own suite is a bare name: "bookworm", not "bookworm-updates".
  const base = rows.find(([, release, component, origin]) => /^[a-z]+$/.test(release ?? "") && component === "main" && origin === "Debian");
  if (base === undefined) return undefined;
  return { uri: base[0] ?? "", components: ["main"] };
}

/** One line for a sources.list that names a suite on the given mirror. */
export function sourceLine(mirror: Mirror, suite: string): string {
  return `deb [signed-by=${KEYRING}] ${mirror.uri} ${suite} ${mirror.components.join(" ")}`;
}

/** Names packages ("name" or "name=version") with the help of apt programs called with these options. */
export type PackageChoice = (options: readonly string[]) => Promise<readonly string[]>;

/**
 * Downloads packages of other suites and unpacks them (no scripts are run) into `into`.
 * @returns the version of each package, by name.
 */
export async function unpackFromSuites(suites: readonly string[], packages: readonly string[] | PackageChoice, into: string): Promise<Map<string, string>> {
  const dir = join(into, ".apt");
  const options = await suiteConfiguration(dir, suites);
  const debs = join(dir, "debs");
  mkdirSync(debs);
  const names = typeof packages === "function" ? await packages(options) : packages;
  await run(["apt-get", ...options, "-q", "download", ...names], { cwd: debs, env: ENV });
  const versions = new Map<string, string>();
  for (const file of readdirSync(debs).filter((name) => name.endsWith(".deb"))) {
    const path = join(debs, file);
    const fields = (await run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", path])).split(" ");
    versions.set(fields[0] ?? "", fields[1] ?? "");
    await run(["dpkg-deb", "--extract", path, into]);
  }
  rmSync(dir, { recursive: true });
  return versions;
}

async function suiteConfiguration(dir: string, suites: readonly string[]): Promise<string[]> {
  const mirror = await debianMirror();
  for (const sub of ["lists/partial", "archives/partial"]) mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(join(dir, "sources.list"), suites.map((suite) => `${sourceLine(mirror, suite)}\n`).join(""));
  const options = [
    `Dir::Etc::sourcelist=${join(dir, "sources.list")}`,
    "Dir::Etc::sourceparts=-",
    "Dir::Etc::preferencesparts=-",
    `Dir::State::lists=${join(dir, "lists")}`,
    `Dir::Cache=${dir}`,
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  await run(["apt-get", ...options, "-q", "update"], { env: ENV });
  if (!existsSync(join(dir, "lists"))) throw new Error(`apt left no lists in ${dir}`);
  return options;
}
