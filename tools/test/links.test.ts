/** Every relative link of a document leads somewhere, also to its heading. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { ROOT } from "./command.ts";

/** A heading's anchor as GitHub makes it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
}

function anchorsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) => anchor(match[1]!));
}

/** Why a link of `file` leads nowhere, or null. */
function broken(file: string, target: string): string | null {
  const [path = "", heading] = target.split("#");
  const to = path === "" ? file : normalize(join(dirname(file), path));
  if (relative(ROOT, join(ROOT, to)).startsWith("..")) return `${file}: ${target} leaves the project`;
  if (!existsSync(join(ROOT, to))) return `${file}: ${target} does not exist`;
  return heading !== undefined && to.endsWith(".md") && !anchorsOf(to).includes(heading) ? `${file}: ${target} has no such heading` : null;
}

test("links", () => {
  const files = [...globSync("*.md", { cwd: ROOT }), ...globSync("docs/**/*.md", { cwd: ROOT })];
  const found = files.flatMap((file) => {
    const links = [...readFileSync(join(ROOT, file), "utf8").matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
    return links.filter((link) => !/^[a-z]+:/.test(link)).map((link) => broken(file, link));
  });
  assert.deepEqual(
    found.filter((sentence) => sentence !== null),
    [],
  );
});
