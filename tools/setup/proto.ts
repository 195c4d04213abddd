/**
 * Generates the TypeScript of the interface files of others into src/csi/gen (git-ignored):
 * csi.proto (the CSI specification) and kubelet's plugin registration, v1. Neither the files nor
 * what is generated from them is committed: the Go module tools/csi-spec pins the first, the npm
 * package tools/proto the generator.
 *
 *     tools/node tools/setup/proto.ts
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { artefactDir, ensureArtefact } from "./cache.ts";
import { downloadModules } from "./kubernetes-go.ts";
import { run } from "./run.ts";

const root = resolve(import.meta.dirname, "../..");
const specDir = join(root, "tools/csi-spec");
const toolsDir = join(root, "tools/proto");
const outDir = join(root, "src/csi/gen");

/** What is taken from which Go module, and the name it gets here: `<name>_pb.ts`. */
const SOURCES = [
  { module: "github.com/container-storage-interface/spec", path: "csi.proto", name: "csi" },
  { module: "k8s.io/kubelet", path: "pkg/apis/pluginregistration/v1/api.proto", name: "pluginregistration" },
] as const;

/** Options of protoc-gen-es that make its output run under Node's type stripping as it is. */
const OPTIONS = ["target=ts", "import_extension=ts", "erasable_syntax=true"];

/** Generates into `dir`, which then holds the generated files and nothing else. */
async function generate(dir: string): Promise<void> {
  const work = join(dir, "work");
  mkdirSync(join(work, "proto"), { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) cpSync(join(toolsDir, file), join(work, file));
  await run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: work });
  const modules = await downloadModules(specDir, [...new Set(SOURCES.map((source) => source.module))]);
  for (const { module, path, name } of SOURCES) {
    const from = modules[module];
    if (from === undefined) throw new Error(`go mod download gave no folder for ${module}`);
    writeFileSync(join(work, "proto", `${name}.proto`), readFileSync(join(from, path)));
  }
  const program = (name: string): string => join(work, "node_modules/@bufbuild", name, "bin", name);
  const plugin = { local: [process.execPath, program("protoc-gen-es")], out: dir, opt: OPTIONS };
  const template = JSON.stringify({ version: "v2", plugins: [plugin] });
  await run([process.execPath, program("buf"), "generate", "proto", "--template", template], {
    cwd: work,
    env: { BUF_CACHE_DIR: join(work, "buf-cache") },
  });
  rmSync(work, { recursive: true });
}

/**
 * Makes src/csi/gen what the pinned inputs say. Costs a few file reads when it is so already.
 * @returns true when it was written.
 * @throws Error when Go, npm or the generator fails, with their message.
 */
export async function ensureGeneratedCsi(): Promise<boolean> {
  const inputs = [join(specDir, "go.mod"), join(specDir, "go.sum"), join(toolsDir, "package-lock.json")];
  const recipe = [...inputs.map((file) => readFileSync(file, "utf8")), JSON.stringify([SOURCES, OPTIONS])];
  const artefact = { name: "csi-types", version: "v1", recipe, describe: "CSI types (src/csi/gen): generating", expected: "20 s", build: generate };
  const stamp = join(outDir, ".generated-from");
  const wanted = basename(artefactDir(artefact));
  if (readStamp(stamp) === wanted) return false;
  const dir = await ensureArtefact(artefact);
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  for (const file of readdirSync(dir)) cpSync(join(dir, file), join(outDir, file));
  // Last, so that a half-made folder is made anew.
  writeFileSync(stamp, wanted);
  return true;
}

function readStamp(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

if (import.meta.main) await ensureGeneratedCsi();
