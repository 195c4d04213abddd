import assert from "node:assert/strict";
import { mkdtemp, mkdir, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { close, open } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { deviceNumber, exists, listDir, makeDir, makeLink, nodeNumber, poll, readAttribute, readLink, readText, removeDir, removeLink, writeAttribute } from "./files.ts";
import { stranded } from "./stranded.ts";

const fresh = () => mkdtemp(join(tmpdir(), "files-"));

test("attributes, directories and links; what is not there is null or empty", async () => {
  const dir = await fresh();
  await writeFile(join(dir, "a"), " value\n");
  assert.deepEqual([await readAttribute(join(dir, "a")), await readAttribute(join(dir, "b")), await readAttribute(join(dir, "a", "b"))], ["value", null, null]);
  await writeAttribute(join(dir, "a"), "new");
  await makeDir(join(dir, "d"));
  await makeDir(join(dir, "d"));
  await makeLink("a", join(dir, "l"));
  await makeLink("a", join(dir, "l"));
  assert.deepEqual(
    [await readText(join(dir, "a")), await readLink(join(dir, "l")), await readLink(join(dir, "none")), (await listDir(dir)).toSorted(), await listDir(join(dir, "none"))],
    ["new", "a", null, ["a", "d", "l"], []],
  );
  for (const path of ["l", "l"]) await removeLink(join(dir, path));
  for (const path of ["d", "d"]) await removeDir(join(dir, path));
  assert.deepEqual([await exists(join(dir, "d")), await exists(join(dir, "a"))], [false, true]);
});

test("a directory that is not empty is not removed silently", async () => {
  const dir = await fresh();
  await mkdir(join(dir, "d/e"), { recursive: true });
  await assert.rejects(removeDir(join(dir, "d")), { code: "ENOTEMPTY" });
});

test("an access that hangs fails at its deadline, is counted, and is not repeated while it hangs", async () => {
  const fifo = join(await fresh(), "fifo");
  execFileSync("mkfifo", [fifo]);
  await assert.rejects(readText(fifo, 100), { code: "CommandTimedOut" });
  assert.equal(stranded.count, 1);
  await assert.rejects(readText(fifo, 60_000), /has not ended/);
  await new Promise<void>((resolve) => open(fifo, "w", (_, fd) => close(fd, () => resolve())));
  await poll(30_000, 10, async () => (stranded.count === 0 ? true : null));
  assert.equal(stranded.count, 0);
});

test("polling ends with the first answer, or with null when the time is over", async () => {
  let asked = 0;
  assert.equal(await poll(1000, 1, async () => ((asked += 1) === 3 ? "third" : null)), "third");
  assert.equal(await poll(20, 5, async () => null), null);
});

test("numbers of device nodes (makedev(3))", async () => {
  assert.deepEqual([0x10305, 0x20fdbc, 0x2700910].map(deviceNumber), ["259:5", "253:700", "9:10000"]);
  assert.deepEqual([await nodeNumber("/dev/null"), await nodeNumber("/dev/none"), await nodeNumber("/dev")], [null, null, null]);
});
