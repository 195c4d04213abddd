/**
 * The label of a member: one 4096-byte block at byte 0 of the partition, of which only the first
 * 512 bytes carry anything, so that no drive can tear it. Text, for people with a hex dump:
 *
 *     MESHSTOR-LABEL 1\n{"v":1,...}\n<sha256 of the JSON line, hex>\n and zeroes
 *
 * It says what the member last belonged to (I2, Z20): a record in the API that is older than a label
 * is refused. Pure.
 */
import { createHash } from "node:crypto";

export const LABEL_BYTES = 4096;
const SECTOR = 512;
const MAGIC = "MESHSTOR-LABEL 1";

export interface Label {
  /** Format version. */
  v: 1;
  /** UID of the MeshStorVolume. */
  volume: string;
  /** Partition UUID, so that a copied block is noticed. */
  member: string;
  mirror: number;
  epoch: number;
  generation: number;
}

export type LabelReading = { kind: "blank" } | { kind: "unreadable"; reason: string } | { kind: "label"; label: Label };

/** The block for a label. Throws RangeError if it does not fit into one sector. */
export function encodeLabel(label: Label): Buffer {
  const json = JSON.stringify({ v: label.v, volume: label.volume, member: label.member, mirror: label.mirror, epoch: label.epoch, generation: label.generation });
  const text = `${MAGIC}\n${json}\n${digest(json)}\n`;
  if (Buffer.byteLength(text) > SECTOR) throw new RangeError(`label of ${Buffer.byteLength(text)} bytes does not fit into ${SECTOR}`);
  const block = Buffer.alloc(LABEL_BYTES);
  block.write(text, "utf8");
  return block;
}

/** Reads a block back: blank (all zeroes), a label, or something else. */
export function parseLabel(block: Buffer): LabelReading {
  if (block.every((byte) => byte === 0)) return { kind: "blank" };
  const text = block.subarray(0, SECTOR).toString("utf8");
  const [magic, json, sum, ...rest] = text.split("\n");
  if (magic !== MAGIC || json === undefined || sum === undefined) return { kind: "unreadable", reason: "no MeshStor label, but not blank" };
  if (digest(json) !== sum) return { kind: "unreadable", reason: "the label's checksum does not match" };
  if (/[^\0]/.test(rest.join("\n"))) return { kind: "unreadable", reason: "something follows the label" };
  const label = asLabel(json);
  return label ? { kind: "label", label } : { kind: "unreadable", reason: "the label's content is not understood" };
}

function asLabel(json: string): Label | null {
  let value: Partial<Record<keyof Label, unknown>>;
  try {
    value = JSON.parse(json) as typeof value;
  } catch {
    return null;
  }
  const { v, volume, member, mirror, epoch, generation } = value;
  if (v !== 1 || typeof volume !== "string" || typeof member !== "string") return null;
  if (![mirror, epoch, generation].every((n) => Number.isSafeInteger(n))) return null;
  return { v, volume, member, mirror: mirror as number, epoch: epoch as number, generation: generation as number };
}

function digest(json: string): string {
  return createHash("sha256").update(json).digest("hex");
}
