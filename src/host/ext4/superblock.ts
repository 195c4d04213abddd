/** The superblock of an ext4 filesystem, as far as formatting needs it. Pure. Layout: linux/fs/ext4/ext4.h, struct ext4_super_block (little endian). */
import { uuidOf } from "../md/superblock.ts";

/** Byte at which it begins. */
const SUPERBLOCK = 1024;
const MAGIC = 0xef53;
/** Bits of s_state: unmounted in order; an error was met. */
const VALID = 1;
const ERRORS = 2;

export interface Ext4Reading {
  uuid: string;
  /** Unmounted in order, and no error met since it was last checked. */
  clean: boolean;
}

/** What the beginning of a device says; null if there is no ext4 superblock. */
export function readExt4(head: Buffer): Ext4Reading | null {
  const at = (offset: number) => SUPERBLOCK + offset;
  if (head.length < at(0x78) || head.readUInt16LE(at(0x38)) !== MAGIC) return null;
  const state = head.readUInt16LE(at(0x3a));
  return { uuid: uuidOf(head, at(0x68)), clean: (state & VALID) !== 0 && (state & ERRORS) === 0 };
}
