/**
 * Reads and writes of block devices past the page cache, in a child with a deadline (dd(1), or Perl for many
 * places, with O_DIRECT): a device that hangs holds a child, never a thread of this process. All offsets and
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

/**
 * Opens ARGV[0] with O_DIRECT, and prints ARGV[1] bytes from each further argument, an offset. Memory of such a read
 * begins at a multiple of the block size (open(2)): the buffer is a block longer, and read into from there on.
 */
const SAMPLE = String.raw`
use Fcntl;
my ($device, $length, @offsets) = @ARGV;
sysopen(my $file, $device, O_RDONLY | O_DIRECT) or die "$device: $!\n";
binmode(STDOUT);
my $buffer = "\0" x ($length + 4096);
my $pad = -unpack("J", pack("p", $buffer)) & 4095;
for my $offset (@offsets) {
  sysseek($file, $offset, 0) // die "$device: $!\n";
  my $got = sysread($file, $buffer, $length, $pad) // die "$device at $offset: $!\n";
  $got == $length or die "$device gave $got bytes at $offset\n";
  print substr($buffer, $pad, $length) or die "$!\n";
}
close(STDOUT) or die "$!\n"`;

/** `length` bytes from each offset of a device, in their order; one program for all of them. */
export async function readDirectAt(device: string, offsets: readonly number[], length: number, deadlineMs = DEADLINE_MS): Promise<Buffer[]> {
  for (const offset of offsets) check(offset, length);
  const bytes = await runBytes(["perl", "-e", SAMPLE, device, String(length), ...offsets.map(String)], { deadlineMs, maxOutput: length * offsets.length, lane: device });
  if (bytes.length !== length * offsets.length) throw new MeshStorError("CommandFailed", `${device} gave ${bytes.length} bytes where ${offsets.length} × ${length} were read`);
  return offsets.map((_, index) => bytes.subarray(index * length, (index + 1) * length));
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
