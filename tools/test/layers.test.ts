/**
 * The layer rule holds and is enforced: a violation of every kind is planted in a copy of the tree's
 * outline, and the linter with our configuration must name exactly the forbidden ones.
 */
import assert from "node:assert/strict";
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT, runNode } from "./command.ts";

/** Who may import whom (ARCHITECTURE.md shows the same table). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  api: ["base"],
  core: ["base", "api"],
  host: ["base", "api", "core"],
  kube: ["base", "api"],
  csi: ["base", "api", "core"],
  agent: ["base", "api", "core", "host", "kube", "csi"],
  controller: ["base", "api", "core", "kube", "csi"],
  cli: ["base", "api", "core", "kube"],
};
/** Packages and Node.js itself; what is not named here is not restricted. */
const PACKAGES = ["node:fs", "zod", "yaml", "commander", "@grpc/grpc-js", "@bufbuild/protobuf"];
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  base: ["node:fs"],
  api: ["node:fs", "zod"],
  core: [],
  host: ["node:fs"],
  kube: ["node:fs", "yaml"],
  csi: ["node:fs", "@grpc/grpc-js", "@bufbuild/protobuf"],
  agent: ["node:fs"],
  controller: ["node:fs"],
  cli: ["node:fs", "commander", "yaml"],
};
const OUTSIDE = ["test", "lab", "tools", "demo", "bench", "sim"];
const LAYERS = Object.keys(MAY_IMPORT);

interface Plant {
  file: string;
  text: string;
  forbidden: boolean;
}

function plants(): Plant[] {
  const all: Plant[] = [];
  for (const layer of LAYERS) {
    const plant = (name: string, from: string, forbidden: boolean) =>
      all.push({ file: `src/${layer}/${name.replaceAll(/[^a-z]+/g, "-")}.ts`, text: `import { x } from "${from}";\nexport const y = x;\n`, forbidden });
    for (const other of LAYERS) {
      if (other === layer) continue;
      const forbidden = !MAY_IMPORT[layer]!.includes(other);
      plant(`to-${other}`, `../${other}/x.ts`, forbidden);
      plant(`inner/to-${other}`, `../../${other}/x.ts`, forbidden);
    }
    for (const other of OUTSIDE) plant(`to-${other}`, `../../${other}/x.ts`, true);
    for (const name of PACKAGES) plant(`uses-${name}`, name, !MAY_USE[layer]!.includes(name));
  }
  // The simulator drives the core, and knows nothing of what carries it out.
  const reached = ["src/base", "src/api", "src/core"];
  for (const other of [...LAYERS.map((layer) => `src/${layer}`), ...OUTSIDE.filter((folder) => folder !== "sim")])
    for (const up of ["..", "../.."])
      all.push({
        file: `sim/${up === ".." ? "" : "inner/"}to-${other.replace("/", "-")}.ts`,
        text: `import { x } from "${up}/${other}/x.ts";\nexport const y = x;\n`,
        forbidden: !reached.includes(other),
      });
  const impure = ["Date.now()", "Math.random()", "performance.now()", "process.pid", 'fetch("x")', "setTimeout(() => 1, 1)"];
  impure.forEach((text, at) => all.push({ file: `src/core/impure-${at}.ts`, text: `export const y = () => ${text};\n`, forbidden: true }));
  return all;
}

/** Every file the linter complains about; the limits of other rules cannot fire on files of two lines. */
async function complaints(folder: string): Promise<string[]> {
  const ended = await runNode([join(ROOT, "node_modules/.bin/oxlint"), "--config", join(folder, ".oxlintrc.json"), "--format", "unix", folder]);
  const lines = ended.output.split("\n").filter((line) => /no-restricted-(imports|properties|globals)/.test(line));
  return [...new Set(lines.map((line) => /((?:src|sim)\/[^:]+):/.exec(line)?.[1] ?? line))].toSorted();
}

test("the linter names every forbidden import, and no other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshstor-layers-"));
  try {
    copyFileSync(join(ROOT, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
    const all = plants();
    for (const { file, text } of all) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    const wanted = all.filter((plant) => plant.forbidden).map((plant) => plant.file);
    assert.deepEqual(await complaints(folder), wanted.toSorted());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function sources(pattern: string): { file: string; text: string }[] {
  return globSync(pattern, { cwd: ROOT })
    .filter((file) => !file.endsWith(".test.ts") && !file.includes("/gen/"))
    .map((file) => ({ file, text: withoutComments(readFileSync(join(ROOT, file), "utf8")) }));
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
}

test("only main.ts imports while it runs: the linter does not see such an import", () => {
  const found = sources("src/**/*.ts").filter(({ file, text }) => file !== "src/main.ts" && /\bimport\(/.test(text));
  assert.deepEqual(
    found.map(({ file }) => file),
    [],
  );
});

test("the core does not wait and does not ask for the time", () => {
  const found = sources("src/core/**/*.ts").filter(({ text }) => /\b(async|await)\b|new Date\(\)|\.then\(/.test(text));
  assert.deepEqual(
    found.map(({ file }) => file),
    [],
  );
});

test("every folder of src is a layer", () => {
  const folders = new Set(sources("src/*/**/*.ts").map(({ file }) => file.split("/")[1]!));
  assert.deepEqual(
    [...folders].filter((folder) => !LAYERS.includes(folder)),
    [],
  );
});

test("ARCHITECTURE.md shows the same table", () => {
  const shown = [...readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8").matchAll(/^\| ([a-z]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$/gm)].map(([, layer, list]) => [
    layer,
    list!
      .replace("–", "")
      .split(", ")
      .filter((name) => name !== ""),
  ]);
  assert.deepEqual(Object.fromEntries(shown.filter(([layer]) => layer !== "layer")), MAY_IMPORT);
});
