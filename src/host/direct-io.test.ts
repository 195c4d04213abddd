import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MiB } from "../base/units.ts";
import { readDirect, readDirectAt } from "./direct-io.ts";

const SAMPLE = 64 * 1024;
const data = randomBytes(MiB);
let folder = "";
let file = "";

before(() => {
  folder = mkdtempSync(join(tmpdir(), "direct-io-"));
  file = join(folder, "device");
  writeFileSync(file, data);
});
after(() => rmSync(folder, { recursive: true }));

test("many places are read by one program, in the order in which they are asked for", async () => {
  const places = [0, 4096, MiB / 2, MiB - SAMPLE, 8192];
  const read = await readDirectAt(file, places, SAMPLE);
  assert.deepEqual(
    read.map((bytes, index) => bytes.equals(data.subarray(places[index], places[index]! + SAMPLE))),
    places.map(() => true),
  );
  assert.ok((await readDirect(file, 4096, SAMPLE)).equals(read[1]!));
});

test("what cannot be read whole is an error that names device and place", async () => {
  await assert.rejects(readDirectAt(file, [0, MiB - 4096], SAMPLE), { code: "CommandFailed", message: new RegExp(`perl -e … .* gave 4096 bytes at ${MiB - 4096}`) });
  await assert.rejects(readDirectAt(`${file}-none`, [0], SAMPLE), { code: "CommandFailed", message: /No such file/ });
  await assert.rejects(readDirectAt(file, [512], SAMPLE), { code: "Internal" });
});
