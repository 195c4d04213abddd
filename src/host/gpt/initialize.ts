/** An empty GPT for a drive that was given to us by name (msnd spec.use: Initialize). */
import { MeshStorError } from "../../base/errors.ts";
import type { Drive } from "../../core/observed.ts";
import { node } from "../block.ts";
import { runOk } from "../exec.ts";
import { readDriveTable } from "./table.ts";

/** Writes the table only if the drive carries nothing at all (I9). Throws ForeignContent otherwise. */
export async function initializeDrive(drive: Drive): Promise<void> {
  const table = await readDriveTable(drive);
  if (table.label === "gpt") return;
  if (table.label !== "none" || table.signature || table.usedBy || drive.readOnly)
    throw new MeshStorError("ForeignContent", `drive ${drive.id} (${drive.device}) is not blank: ${table.signature ?? table.usedBy ?? table.label}`);
  await runOk(["sfdisk", "--lock", "--wipe=never", node(drive.device)], { deadlineMs: 20_000, stdin: "label: gpt\n", lane: drive.device });
}
