/** The image's list of contents against the programs that the code starts, and the Containerfile against what `npm run image` makes. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { parseContents } from "../../image/pick.ts";
import manifest from "../../package.json" with { type: "json" };
import { TOOLS } from "../../src/host/tools.ts";
import { CONFIG, NAME, SUITE } from "../../tools/image/config.ts";
import { manifests } from "./manifests.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(resolve(ROOT, path), "utf8");
const contents = parseContents(read("image/contents.txt"));

test("every program that the node role starts is in the image, from the package that the refusal names", () => {
  const sources = globSync("src/host/**/*.ts", { cwd: ROOT }).filter((file) => !file.endsWith(".test.ts"));
  // An array that is run, or that has an option among its words.
  const START = /(?:\brun\w*\(\s*\[|\bargv = \[|\breturn \[|\bspawn\()\s*"([a-z][\w.-]*)"|\[\s*"([a-z][\w.-]*)",[^\]]*?["`]-/g;
  const started = new Set(sources.flatMap((file) => [...read(file).matchAll(START)].map(([, run, word]) => (run ?? word)!)));
  assert.ok(
    ["sfdisk", "mdadm", "xfs_io", "perl", "mkfs.xfs"].every((program) => started.has(program)),
    "the programs are found in the source",
  );
  const present = new Set(contents.flatMap(({ parts }) => parts));
  assert.deepEqual([...started].filter((program) => !present.has(program)).toSorted(), []);
  const wrong = TOOLS.filter((tool) => !contents.some((each) => each.package === tool.package && each.parts.includes(tool.name)));
  assert.deepEqual(wrong, []);
});

test("the Containerfile starts from the same Debian, takes the same list and says the same about a container", () => {
  const text = read("Containerfile").replaceAll("\\\n", " ");
  const line = (word: string) => new RegExp(`^${word} (.*)$`, "m").exec(text)?.[1] ?? "";
  const pairs = (value: string) => Object.fromEntries([...value.matchAll(/([\w.]+)="([^"]*)"/g)].map(([, key, each]) => [key, each]));
  assert.deepEqual(
    {
      from: line("FROM"),
      Entrypoint: JSON.parse(line("ENTRYPOINT")) as unknown,
      Env: line("ENV").split(" "),
      User: line("USER"),
      WorkingDir: line("WORKDIR"),
      Labels: pairs(line("LABEL")),
    },
    { from: `debian:${SUITE}-slim AS pick`, ...CONFIG },
  );
  const pattern = /sed -n 's\/(\S+)\/\\1\/p'/.exec(text)?.[1] ?? "";
  const taken = [...read("image/contents.txt").matchAll(new RegExp(pattern.replaceAll("\\(", "(").replaceAll("\\)", ")"), "gm"))].map(([, name]) => name);
  assert.deepEqual(
    taken,
    contents.map((each) => each.package),
  );
});

test("the image carries the files that mdadm is told by, because its root cannot be written to", () => {
  const source = read("src/host/md/tool.ts");
  const text = JSON.parse(/DROP_IN_TEXT = (".*");/.exec(source)![1]!) as string;
  const dirs = JSON.parse(/DROP_INS = (\[.*\]);/.exec(source)![1]!) as string[];
  assert.deepEqual(
    dirs.map((dir) => read(`image/files${dir}/meshstor.conf`)),
    dirs.map(() => text),
  );
});

test("deploy/ runs the image of this version", () => {
  const images = [...JSON.stringify(manifests()).matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image!).filter((image) => image.startsWith("meshstor"));
  assert.deepEqual([NAME, images], [`meshstor:${manifest.version}`, [NAME, NAME]]);
});
