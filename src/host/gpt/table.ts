/** The partition table of one drive, read by sfdisk, and a cheap sign that it may have changed. */
import type { Drive, DriveTable } from "../../core/observed.ts";
import { MeshStorError } from "../../base/errors.ts";
import { holdersOf, node, sysBlock } from "../block.ts";
import { failure, run } from "../exec.ts";
import { inodeOf, listDir, readAttribute, readText, ROOTS } from "../files.ts";
import { parseMountinfo } from "../mount/mountinfo.ts";
import { probe } from "./identity.ts";
import { parseSfdisk } from "./parse.ts";

/**
 * Reads a drive's table. A drive without one comes as label "none", with what else was found on it
 * (filesystem, LVM, MD) and what uses it. Throws CommandTimedOut for a drive that does not answer.
 */
export async function readDriveTable(drive: Pick<Drive, "id" | "device" | "sectorSize">): Promise<DriveTable> {
  const usedBy = await usedByOf(drive.device);
  const result = await run(["sfdisk", "--json", node(drive.device)], { deadlineMs: 15_000, lane: drive.device });
  if (result.exitCode === 0) {
    const table = parseSfdisk(result.stdout.toString(), drive.id, drive.sectorSize);
    if (table === null) throw new MeshStorError("CommandFailed", `sfdisk's description of ${drive.device} is not understood`);
    return { ...table, usedBy };
  }
  const error = failure(result, [1]);
  if (error) throw error;
  const found = await probe(drive.device);
  // sfdisk found no table, or one that is damaged: blkid tells which, and nothing is called blank that is not.
  const signature = found.signature || found.tableType || (/does not contain a recognized partition table/.test(result.stderr) ? null : result.stderr.trim());
  return { drive: drive.id, label: "none", firstUsableByte: 0, lastUsableByte: 0, entries: [], maxEntries: 0, signature, usedBy };
}

/** What uses the whole drive (not its partitions): a holder in the kernel or a mount. */
async function usedByOf(device: string): Promise<string | null> {
  const holders = await holdersOf(device);
  if (holders.length > 0) return holders.join(", ");
  const number = await readAttribute(`${sysBlock(device)}/dev`);
  const mount = parseMountinfo(await readText(`${ROOTS.proc}/self/mountinfo`)).find((m) => m.device === number);
  return mount ? `mounted at ${mount.target}` : null;
}

/**
 * Changes whenever what {@link readDriveTable} says may have changed; costs a few sysfs reads. A partition that was deleted
 * and made anew at the same place, under another UUID, shows by the inode of its directory only; what was written
 * on a drive that has no partitions (a filesystem, a table) by the count of sectors written.
 */
export async function driveFingerprint(device: string): Promise<string> {
  const at = `${ROOTS.sys}/block/${device}`;
  const [size, diskseq, entries, holders] = await Promise.all([readAttribute(`${at}/size`), readAttribute(`${at}/diskseq`), listDir(at), holdersOf(device)]);
  const partitions = entries.filter((e) => e.startsWith(`${device}p`)).sort();
  const parts = await Promise.all(
    partitions.map(async (p) => [p, await inodeOf(`${at}/${p}`), await readAttribute(`${at}/${p}/start`), await readAttribute(`${at}/${p}/size`)].join(":")),
  );
  const written = parts.length === 0 ? (await readAttribute(`${at}/stat`))?.split(/ +/)[6] : "";
  return [size, diskseq, holders.join(","), ...parts, written].join(" ");
}
