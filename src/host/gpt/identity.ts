/** Proof that a partition is the one that is meant, read from the drive's table (I9). */
import { PARTITION_TYPE } from "../../api/names.ts";
import { MeshStorError } from "../../base/errors.ts";
import { node } from "../block.ts";
import { failure, run } from "../exec.ts";
import { parseExport } from "./parse.ts";

export interface Probe {
  /** Filesystem, RAID or other signature; empty if there is none. */
  signature: string;
  uuid: string;
  partitionUUID: string;
  partitionType: string;
  /** Type of the partition table on the device, if it has one. */
  tableType: string;
}

/** Low-level probe by blkid(8): never the cache. Exit 2 means that nothing was found. */
export async function probe(device: string): Promise<Probe> {
  const result = await run(["blkid", "--probe", "--output", "export", node(device)], { deadlineMs: 15_000, lane: device });
  const error = failure(result, [0, 2]);
  if (error) throw error;
  const found = parseExport(result.stdout.toString());
  return {
    signature: found["TYPE"] ?? "",
    uuid: (found["UUID"] ?? "").toLowerCase(),
    partitionUUID: (found["PART_ENTRY_UUID"] ?? "").toLowerCase(),
    partitionType: (found["PART_ENTRY_TYPE"] ?? "").toUpperCase(),
    tableType: found["PTTYPE"] ?? "",
  };
}

/** Throws ForeignContent unless the device is a partition of our type with this very UUID. */
export async function assertPartition(device: string, partitionUUID: string): Promise<void> {
  const found = await probe(device);
  if (found.partitionType === PARTITION_TYPE && found.partitionUUID === partitionUUID) return;
  throw new MeshStorError("ForeignContent", `${device} is partition '${found.partitionUUID}' of type '${found.partitionType}', not MeshStor partition ${partitionUUID}`);
}
