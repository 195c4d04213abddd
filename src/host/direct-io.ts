/**
 * Reads and writes of block devices past the page cache, in a child with a deadline (dd(1) with
 * O_DIRECT): a device that hangs holds a child, never a thread of this process. All offsets and
 * lengths are multiples of 4096 bytes, so that drives of either sector size take them.
 */
import { MeshStorError } from "../base/errors.ts";
import { runBytes, runOk } from "./exec.ts";

export const BLOCK = 4096;
const DEADLINE_MS = 15_000;

function check(offset: number, length: number): void {
  if (offset % BLOCK !== 0 || length % BLOCK !== 0 || length === 0) throw new MeshStorError("Internal", `direct access at ${offset}, ${length} bytes, is not in whole blocks`);
}

/** Bytes [offset, offset + length) of a device as the drive holds them. */
export async function readDirect(device: string, offset: number, length: number, deadlineMs = DEADLINE_MS): Promise<Buffer> {
  check(offset, length);
  const bs = length % (1024 * 1024) === 0 ? 1024 * 1024 : BLOCK;
  const argv = ["dd", `if=${device}`, "status=none", `bs=${bs}`, "iflag=direct,skip_bytes,fullblock", `skip=${offset}`, `count=${length / bs}`];
  const bytes = await runBytes(argv, { deadlineMs, maxOutput: length, lane: device });
  if (bytes.length !== length) throw new MeshStorError("CommandFailed", `${device} gave ${bytes.length} of ${length} bytes at offset ${offset}`);
  return bytes;
}

/** Writes `data` at `offset` and returns once the drive has it (O_DIRECT, O_DSYNC). */
export async function writeDirect(device: string, offset: number, data: Buffer, deadlineMs = DEADLINE_MS): Promise<void> {
  check(offset, data.length);
  const argv = ["dd", `of=${device}`, "status=none", `bs=${data.length}`, "count=1", "iflag=fullblock", "oflag=direct,dsync,seek_bytes", `seek=${offset}`, "conv=notrunc,nocreat"];
  await runOk(argv, { deadlineMs, stdin: data, lane: device });
}

/** True if every byte is zero. */
export function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
