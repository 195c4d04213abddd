/** What `npm run chaos` has shown, from the ledger that is kept in the tree. */
import { join } from "node:path";
import { caseNamed, everyCase, nameOf, type Case } from "../../test/chaos/case.ts";
import { FAULTS } from "../../test/chaos/faults.ts";
import { readLedger, type Entry } from "../../test/chaos/ledger.ts";
import { pairsOf } from "../../test/chaos/pairwise.ts";
import { GENERATED, table } from "./markdown.ts";

const LEDGER = join(import.meta.dirname, "../../test/chaos/ledger.jsonl");

/** The newest entry of each case that still exists. */
function newest(entries: readonly Entry[]): { each: Case; entry: Entry }[] {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  return [...byName.values()].flatMap((entry) => {
    const each = caseNamed(entry.name);
    return each === null ? [] : [{ each, entry }];
  });
}

export function chaosPage(): string {
  const ran = newest(readLedger(LEDGER));
  const ok = ran.filter(({ entry }) => entry.verdict === "ok");
  const pairs = new Set(everyCase().flatMap(pairsOf));
  const proven = new Set(ok.flatMap(({ each }) => pairsOf(each)));
  const acknowledged = ok.reduce((sum, { entry }) => sum + (entry.acknowledged ?? 0), 0);
  const rows = FAULTS.map(({ name }) => {
    const here = ran.filter(({ each }) => each.fault === name).toSorted((a, b) => nameOf(a.each).localeCompare(nameOf(b.each)));
    return [`\`${name}\``, here.map(({ each, entry }) => wordsOf(each) + (entry.verdict === "ok" ? "" : ` **${entry.verdict}**`)).join("; ") || "-"];
  });
  return [
    "# Cases of the lab proof that ran",
    "",
    GENERATED("test/chaos/ledger.jsonl"),
    "",
    `The newest result of each case in the [ledger](../../test/chaos/ledger.jsonl) that is kept in the tree; what a case is: [the proof in the lab](../explanation/proof.md). ${ok.length} cases ended ok (${acknowledged} acknowledged writes were all found), ${ran.length - ok.length} did not;`,
    `${proven.size} of the ${pairs.size} pairs of values are covered. \`npm run chaos -- --cover --ledger test/chaos/ledger.jsonl\` runs what covers the others.`,
    "",
    table(["fault", "ran: copies, drives, kernel, guests"], rows),
    "",
  ].join("\n");
}

function wordsOf({ copies, drives, kernel, guests }: Case): string {
  return `${copies} ${drives} ${kernel} ${guests}`;
}
