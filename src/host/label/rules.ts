/** When a label may be replaced by another (I2, Z20). Pure. */
import type { ErrorCode } from "../../base/errors.ts";
import type { Label, LabelReading } from "./codec.ts";

export interface Refusal {
  code: ErrorCode;
  message: string;
}

/**
 * Null if `next` may be written over what was read. A label of another volume or member is somebody
 * else's (ForeignContent, I9). One that is newer than the record means that the record is a restored
 * one (RecordOlderThanLabel): at the epoch's start any label with this epoch or a later one, or one with a
 * generation above the record's (it never goes back); later on one with a later epoch or, in this
 * epoch, with a later generation.
 */
export function mayStamp(found: LabelReading, next: Label, atStart: boolean, recordGeneration = Number.POSITIVE_INFINITY): Refusal | null {
  if (found.kind === "blank") return null;
  if (found.kind === "unreadable") return { code: "ForeignContent", message: `partition ${next.member}: ${found.reason}` };
  const { label } = found;
  if (label.volume !== next.volume || label.member !== next.member || label.mirror !== next.mirror)
    return { code: "ForeignContent", message: `partition ${next.member} carries the label of partition ${label.member}, mirror ${label.mirror}, of volume ${label.volume}` };
  const newer = atStart
    ? label.epoch >= next.epoch || label.generation > recordGeneration
    : label.epoch > next.epoch || (label.epoch === next.epoch && label.generation > next.generation);
  if (!newer) return null;
  const said = `epoch ${label.epoch}, generation ${label.generation}`;
  return {
    code: "RecordOlderThanLabel",
    message: `the label of partition ${next.member} says ${said}, the record epoch ${next.epoch}, generation ${atStart ? recordGeneration : next.generation}`,
  };
}
