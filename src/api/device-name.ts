/** The name of a drive's MeshStorNodeDevice, made from its node and its serial number. */
import { createHash } from "node:crypto";

const LONGEST_SLUG = 40;

/**
 * Name of a drive's msnd object: the node, a point, and the drive in small letters. `drive` is serial number and
 * namespace id, joined by ':'. Different drives have different names: what follows the last point never holds one,
 * and a drive that its small letters alone do not tell (they stand for the capitals, digits and single dashes of the
 * only namespace) has two dashes and a hash behind them.
 */
export function deviceObjectName(nodeName: string, drive: string): string {
  const slug = slugOf(drive.replace(/:1$/, ""));
  const plain = slug !== "" && drive === `${slug.toUpperCase()}:1`;
  return `${nodeName}.${plain ? slug : `${slug || "drive"}--${hashOf(drive)}`}`;
}

function slugOf(text: string): string {
  const words = text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return words.slice(0, LONGEST_SLUG).replace(/^-+|-+$/g, "");
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
