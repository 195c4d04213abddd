/**
 * Writes the reference pages that are generated from the code:
 *
 *     tools/node tools/generate-docs.ts            writes docs/reference/{errors,bad-input,bounds,chaos-cases,privileges}.md
 *     tools/node tools/generate-docs.ts --check    fails if they are not what would be written
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { badInputPage } from "./docs/bad-input.ts";
import { boundsPage } from "./docs/bounds.ts";
import { chaosPage } from "./docs/chaos.ts";
import { errorsPage } from "./docs/errors.ts";
import { privilegesPage } from "./docs/privileges.ts";

const root = resolve(import.meta.dirname, "..");

const PAGES: Readonly<Record<string, () => string>> = {
  "docs/reference/errors.md": errorsPage,
  "docs/reference/bad-input.md": badInputPage,
  "docs/reference/bounds.md": boundsPage,
  "docs/reference/chaos-cases.md": chaosPage,
  "docs/reference/privileges.md": privilegesPage,
};

const check = process.argv.includes("--check");
for (const [file, page] of Object.entries(PAGES)) {
  const path = join(root, file);
  const wanted = page();
  if (existsSync(path) && readFileSync(path, "utf8") === wanted) continue;
  if (check) {
    console.error(`${file} is not what the code says: run npm run generate`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, wanted);
    console.log(`wrote ${file}`);
  }
}
