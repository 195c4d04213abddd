/** Reads and writes labels on devices. */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { readDirect, writeDirect } from "../direct-io.ts";
import type { Label, LabelReading } from "./codec.ts";
import { encodeLabel, LABEL_BYTES, parseLabel } from "./codec.ts";
import { mayStamp } from "./rules.ts";

/** Labels written by this process; a restored record can repeat an epoch's number, but not in here (I2). */
const stampedHere = new Set<string>();

/** Label of a partition or namespace (kernel name); reads the drive, so never part of a snapshot. */
export async function readLabel(device: string): Promise<LabelReading> {
  return parseLabel(await readDirect(`/dev/${device}`, 0, LABEL_BYTES));
}

/**
 * Stamps every listed device, after all of them were found stampable, and reads each back from the
 * drive (I2, Z20). Throws ForeignContent, RecordOlderThanLabel, or Unsafe if it does not read back.
 */
export async function stampLabels(action: Extract<HostAction, { kind: "StampLabel" }>): Promise<void> {
  const wanted = action.devices.map((d) => ({ device: d.device, label: labelOf(action, d), recordGeneration: d.recordGeneration }));
  await Promise.all(wanted.map((w) => checkOne(w.device, w.label, action.atStart, w.recordGeneration)));
  await Promise.all(wanted.map((w) => writeOne(w.device, w.label)));
}

function labelOf(action: Extract<HostAction, { kind: "StampLabel" }>, d: { partitionUUID: string; mirror: number; generation: number }): Label {
  return { v: 1, volume: action.volumeUID, member: d.partitionUUID, mirror: d.mirror, epoch: action.epoch, generation: d.generation };
}

async function checkOne(device: string, label: Label, atStart: boolean, recordGeneration: number | undefined): Promise<void> {
  const found = await readLabel(device);
  // Repeated by this very process after a failure of another device: not a label of some other epoch of this number.
  if (found.kind === "label" && stampedHere.has(JSON.stringify(found.label)) && found.label.epoch === label.epoch) atStart = false;
  const refusal = mayStamp(found, label, atStart, recordGeneration);
  if (refusal) throw new MeshStorError(refusal.code, refusal.message);
}

async function writeOne(device: string, label: Label): Promise<void> {
  const block = encodeLabel(label);
  stampedHere.add(JSON.stringify(label));
  await writeDirect(`/dev/${device}`, 0, block);
  const back = await readDirect(`/dev/${device}`, 0, LABEL_BYTES);
  if (!back.equals(block)) throw new MeshStorError("Unsafe", `the label on ${device} (partition ${label.member}) does not read back as it was written`);
}
