/** How a partition is laid out, in bytes: label area, MD's superblock and bitmap, data. */
import { MiB } from "./units.ts";

/** First part of every partition: holds the label, never seen by MD. */
export const LABEL_AREA = 1 * MiB;
/** Offset of MD's data within the window: superblock at 4 KiB, bitmap after it. */
export const MD_DATA_OFFSET = 7 * MiB;
/** What a partition needs beyond its share of the volume. */
export const PARTITION_OVERHEAD = LABEL_AREA + MD_DATA_OFFSET;
