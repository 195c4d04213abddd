/**
 * One file per program: `tools/node tools/bundle.ts` writes dist/meshstor.mjs from src/main.ts, and dist/kubectl-meshstor, which
 * kubectl finds as a plug-in when it lies in the PATH, from src/cli/main.ts.
 * Not minified, so that stack traces name our functions; the source map lies beside it.
 */
import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { build } from "esbuild";

const ROOT = resolve(import.meta.dirname, "..");

/** CommonJS packages inside the bundle (grpc-js) call `require` for Node's own modules. */
const BANNER = 'import { createRequire as meshstorCreateRequire } from "node:module";\nconst require = meshstorCreateRequire(import.meta.url);';

/** Bundles a program into one ESM file for Node 24; the file is complete or untouched, also when two do it at once. */
export async function bundle(entry: string, outfile: string): Promise<void> {
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: BANNER },
    legalComments: "eof",
    sourcemap: "linked",
    logLevel: "warning",
    write: false,
  });
  for (const file of result.outputFiles) {
    mkdirSync(dirname(file.path), { recursive: true });
    const beside = join(dirname(file.path), `.${basename(file.path)}.${randomUUID()}`);
    writeFileSync(beside, file.contents);
    renameSync(beside, file.path);
  }
}

/** Bundles the command line and returns the file's path. */
export async function bundleCommandLine(): Promise<string> {
  const outfile = join(ROOT, "dist", "kubectl-meshstor");
  await bundle(join(ROOT, "src", "cli", "main.ts"), outfile);
  chmodSync(outfile, 0o755);
  return outfile;
}

/** Bundles MeshStor itself and returns the file's path. */
export async function bundleProgram(): Promise<string> {
  const outfile = join(ROOT, "dist", "meshstor.mjs");
  await bundle(join(ROOT, "src", "main.ts"), outfile);
  return outfile;
}

if (import.meta.main) console.log(`${await bundleProgram()}\n${await bundleCommandLine()}`);
