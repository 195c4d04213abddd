/**
 * Runs inside a guest. `write FILE RUN INTERVAL_MS [COUNT [clock]]` appends records, each followed by fdatasync, and says
 * `A seq ms` for each that was acknowledged (ms: how long write and sync took; with `clock` also when, in epoch ms). RUN may be `next`: the
 * one after the file's last, said as `R run` first. `check FILE` reads all
 * records and says `S run last` for each run in the order of the file, then `C count last bad`; the count must be gapless from 1 within each run.
 * `registers FILE RUN INTERVAL_MS` reads and writes registers (registers.ts).
 */
import { closeSync, existsSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { decodeRecord, encodeRecord, RECORD_SIZE } from "./records.ts";
import { runRegisters } from "./registers.ts";

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

async function write(file: string, run: number, intervalMs: number, count: number, clock: boolean): Promise<void> {
  const fd = openSync(file, "a");
  for (let seq = 1; seq <= count; seq += 1) {
    const begun = performance.now();
    try {
      writeSync(fd, encodeRecord(run, seq));
      fdatasyncSync(fd);
    } catch (error) {
      say(`E ${seq} ${(error as NodeJS.ErrnoException).code ?? "error"}`);
      process.exit(1);
    }
    say(`A ${seq} ${(performance.now() - begun).toFixed(1)}${clock ? ` ${Date.now()}` : ""}`);
    if (intervalMs > 0) await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
  closeSync(fd);
}

/** The run after the last record's; what is left of a record that never became whole is an error, which the checker finds. */
function nextRun(file: string): number {
  if (!existsSync(file)) return 1;
  const fd = openSync(file, "r");
  const block = Buffer.alloc(RECORD_SIZE);
  const { size } = fstatSync(fd);
  const whole = size - (size % RECORD_SIZE);
  const last = whole > 0 && readSync(fd, block, 0, RECORD_SIZE, whole - RECORD_SIZE) === RECORD_SIZE ? decodeRecord(block) : null;
  closeSync(fd);
  if (whole > 0 && last === null) throw new Error(`the last block of ${file} is no record`);
  return (last?.run ?? 0) + 1;
}

function numberOf(run: string, file: string): number {
  if (run !== "next") return Number(run);
  const next = nextRun(file);
  say(`R ${next}`);
  return next;
}

function check(file: string): void {
  const fd = openSync(file, "r");
  const block = Buffer.alloc(RECORD_SIZE);
  let count = 0;
  let bad = 0;
  let run = -1;
  let last = 0;
  while (readSync(fd, block, 0, RECORD_SIZE, null) === RECORD_SIZE) {
    const record = decodeRecord(block);
    const next = record !== null && (record.run === run ? record.seq === last + 1 : record.seq === 1);
    if (!next) bad += 1;
    else {
      if (record.run !== run && run >= 0) say(`S ${run} ${last}`);
      ({ run, seq: last } = record);
      count += 1;
    }
  }
  if (run >= 0) say(`S ${run} ${last}`);
  closeSync(fd);
  say(`C ${count} ${last} ${bad}`);
}

const [verb, file = "", run = "1", interval = "0", count = "1000000000", clock] = process.argv.slice(2);
if (verb === "write") await write(file, numberOf(run, file), Number(interval), Number(count), clock === "clock");
else if (verb === "registers") await runRegisters(file, Number(run), Number(interval), say);
else check(file);
