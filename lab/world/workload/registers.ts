/**
 * Registers: blocks of a file that are written over and over and read between, all with O_DIRECT, so that every read asks the
 * volume. Runs inside a guest. Every second register is also written with O_DSYNC. No register is read while it is written: what an unfinished
 * write shows may vanish with its writer. Lines, in the order of events (`at` in epoch ms):
 *
 *     w REGISTER VALUE at      a write begins          r READ REGISTER at          a read begins
 *     W REGISTER VALUE at      it was acknowledged     R READ REGISTER VALUE at    it returned this value; -1: no whole value
 *     E CODE at                the volume answered with an error; this program ends
 */
import { constants, closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { decodeRecord, encodeRecord, RECORD_SIZE } from "./records.ts";

/** Number of registers in a file. */
export const REGISTERS = 8;

/** Values of a run begin behind this times its number, so that a later run's values are higher. */
export const RUN_STEP = 1_000_000;

type Say = (line: string) => void;

/** Never returns, unless the volume answers with an error. */
export async function runRegisters(file: string, run: number, intervalMs: number, say: Say): Promise<void> {
  makeFile(file);
  const direct = constants.O_RDWR | constants.O_DIRECT;
  const files = [await open(file, direct), await open(file, direct | constants.O_DSYNC)];
  const block = await alignedBlock(files[0]!);
  const busy = new Set<number>();
  const fail = (error: unknown): never => {
    say(`E ${(error as NodeJS.ErrnoException).code ?? "error"} ${Date.now()}`);
    process.exit(1);
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, intervalMs));
  const writing = async (): Promise<void> => {
    for (let value = run * RUN_STEP + 1; ; value += 1) {
      const register = value % REGISTERS;
      while (busy.has(register)) await pause();
      busy.add(register);
      encodeRecord(register, value).copy(block.write);
      say(`w ${register} ${value} ${Date.now()}`);
      await files[register % 2]!.write(block.write, 0, RECORD_SIZE, register * RECORD_SIZE);
      say(`W ${register} ${value} ${Date.now()}`);
      busy.delete(register);
      await pause();
    }
  };
  const reading = async (): Promise<void> => {
    for (let read = 1; ; read += 1) {
      const register = (read * 5) % REGISTERS;
      if (!busy.has(register)) {
        busy.add(register);
        say(`r ${read} ${register} ${Date.now()}`);
        await files[0]!.read(block.read, 0, RECORD_SIZE, register * RECORD_SIZE);
        say(`R ${read} ${register} ${valueOf(block.read, register)} ${Date.now()}`);
        busy.delete(register);
      }
      await pause();
    }
  };
  await Promise.all([writing(), reading()]).catch(fail);
}

/** Zeroes are a register that was never written: 0. */
function valueOf(block: Buffer, register: number): number {
  if (block.every((byte) => byte === 0)) return 0;
  const record = decodeRecord(block);
  return record?.run === register ? record.seq : -1;
}

/** All its blocks are written and on the drives before the first register is. */
function makeFile(file: string): void {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT);
  const block = Buffer.alloc(RECORD_SIZE);
  for (let at = 0; at < REGISTERS; at += 1) {
    if (readSync(fd, block, 0, RECORD_SIZE, at * RECORD_SIZE) === RECORD_SIZE) continue;
    writeSync(fd, Buffer.alloc(RECORD_SIZE), 0, RECORD_SIZE, at * RECORD_SIZE);
  }
  fsyncSync(fd);
  closeSync(fd);
}

/** Two blocks in memory that the kernel takes for O_DIRECT: their alignment is found by trying. */
async function alignedBlock(file: FileHandle): Promise<{ write: Buffer; read: Buffer }> {
  const memory = Buffer.alloc(64 * RECORD_SIZE);
  for (let at = 0; at < RECORD_SIZE; at += 8) {
    const read = memory.subarray(at, at + RECORD_SIZE);
    const write = memory.subarray(at + 2 * RECORD_SIZE, at + 3 * RECORD_SIZE);
    try {
      await file.read(read, 0, RECORD_SIZE, 0);
      return { write, read };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
    }
  }
  throw new Error("no alignment suits O_DIRECT");
}
