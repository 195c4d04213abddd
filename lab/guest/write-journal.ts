/** The journal of the kernel's log-writes target (Documentation/admin-guide/device-mapper/log-writes.rst), as it lies on its device. */

/** One durable write. */
export interface JournalEntry {
  /** Bytes from the beginning of the drive. */
  readonly at: number;
  readonly length: number;
  /** Where its data begins in the journal; null for what reads as zeroes (a discard). */
  readonly data: number | null;
  /** The text of a mark, which writes nothing. */
  readonly mark?: string;
}

const MAGIC = 0x6a736677736872n;
const DISCARD = 4n;
const MARK = 8n;
const HEADER = 32;

/** Reads a journal through `read(offset, length)`; empty if it has none of its own yet. @throws Error if it is another version's. */
export function readJournal(read: (at: number, length: number) => Buffer): JournalEntry[] {
  const head = read(0, HEADER);
  if (head.readBigUInt64LE(0) !== MAGIC) return [];
  if (head.readBigUInt64LE(8) !== 1n) throw new Error(`the write journal has version ${head.readBigUInt64LE(8)}`);
  const count = Number(head.readBigUInt64LE(16));
  const sectorSize = head.readUInt32LE(24);
  const entries: JournalEntry[] = [];
  for (let position = sectorSize; entries.length < count;) {
    const entry = read(position, HEADER);
    const [sector, sectors, flags, textLength] = [0, 8, 16, 24].map((at) => entry.readBigUInt64LE(at)) as [bigint, bigint, bigint, bigint];
    const length = Number(sectors) * sectorSize;
    position += sectorSize;
    const discard = (flags & DISCARD) !== 0n;
    const isMark = (flags & MARK) !== 0n;
    const mark = isMark ? read(position - sectorSize + HEADER, Number(textLength)).toString("latin1") : undefined;
    entries.push({ at: Number(sector) * sectorSize, length: isMark ? 0 : length, data: discard || isMark ? null : position, ...(mark === undefined ? {} : { mark }) });
    if (!discard) position += length;
  }
  return entries;
}
