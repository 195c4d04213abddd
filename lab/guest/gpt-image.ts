/** Writes an empty GUID partition table into a drive file (UEFI specification 2.10, chapter 5). */
import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { crc32 } from "node:zlib";

const ENTRIES = 128;
const ENTRY_BYTES = 128;

/** Writes protective MBR, both headers and both (empty) entry arrays; `offset` is where the drive starts in the file. */
export function writeEmptyGpt(fd: number, offset: number, size: number, sectorSize: number): void {
  const lastLba = size / sectorSize - 1;
  const arrayLbas = (ENTRIES * ENTRY_BYTES) / sectorSize;
  const guid = guidBytes(randomUUID());
  const common = { guid, lastLba, arrayLbas, sectorSize };
  const entries = Buffer.alloc(ENTRIES * ENTRY_BYTES);
  const put = (lba: number, data: Buffer): void => void writeSync(fd, data, 0, data.length, offset + lba * sectorSize);
  put(0, protectiveMbr(lastLba, sectorSize));
  put(1, header({ ...common, own: 1, other: lastLba, array: 2 }));
  put(2, entries);
  put(lastLba - arrayLbas, entries);
  put(lastLba, header({ ...common, own: lastLba, other: 1, array: lastLba - arrayLbas }));
}

function protectiveMbr(lastLba: number, sectorSize: number): Buffer {
  const sector = Buffer.alloc(sectorSize);
  sector.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  sector.writeUInt32LE(1, 454);
  sector.writeUInt32LE(Math.min(lastLba, 0xffff_ffff), 458);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

interface HeaderPlace {
  readonly own: number;
  readonly other: number;
  readonly array: number;
  readonly guid: Buffer;
  readonly lastLba: number;
  readonly arrayLbas: number;
  readonly sectorSize: number;
}

function header(place: HeaderPlace): Buffer {
  const sector = Buffer.alloc(place.sectorSize);
  // The first usable sector is aligned to 1 MiB as sfdisk does it.
  const firstUsable = 1_048_576 / place.sectorSize;
  sector.write("EFI PART", 0, "latin1");
  sector.writeUInt32LE(0x0001_0000, 8);
  sector.writeUInt32LE(92, 12);
  sector.writeBigUInt64LE(BigInt(place.own), 24);
  sector.writeBigUInt64LE(BigInt(place.other), 32);
  sector.writeBigUInt64LE(BigInt(firstUsable), 40);
  sector.writeBigUInt64LE(BigInt(place.lastLba - place.arrayLbas - 1), 48);
  place.guid.copy(sector, 56);
  sector.writeBigUInt64LE(BigInt(place.array), 72);
  sector.writeUInt32LE(ENTRIES, 80);
  sector.writeUInt32LE(ENTRY_BYTES, 84);
  sector.writeUInt32LE(crc32(Buffer.alloc(ENTRIES * ENTRY_BYTES)), 88);
  sector.writeUInt32LE(crc32(sector.subarray(0, 92)), 16);
  return sector;
}

/** A GUID as GPT stores it: the first three fields little-endian. */
export function guidBytes(uuid: string): Buffer {
  const raw = Buffer.from(uuid.replaceAll("-", ""), "hex");
  raw.subarray(0, 4).reverse();
  raw.subarray(4, 6).reverse();
  raw.subarray(6, 8).reverse();
  return raw;
}
