/** Device-mapper tables as text, in sectors of 512 bytes (dmsetup(8); Documentation/admin-guide/device-mapper). Pure. */
import { LABEL_AREA } from "../../base/layout.ts";
import { roundUp } from "../../base/units.ts";

/** Stripe chunk of a volume over several mirrors, in bytes. */
export const STRIPE_CHUNK = 64 * 1024;

/** The window: the member without its label area. */
export function windowTable(below: string, sizeBytes: number): string {
  return `0 ${sizeBytes / 512} linear ${below} ${LABEL_AREA / 512}`;
}

/** The volume: linear over one mirror, striped over several; the striped target wants whole stripes. */
export function volumeTable(mirrors: readonly string[], sizeBytes: number): string {
  if (mirrors.length === 1) return `0 ${sizeBytes / 512} linear ${mirrors[0]} 0`;
  const size = roundUp(sizeBytes, mirrors.length * STRIPE_CHUNK);
  return `0 ${size / 512} striped ${mirrors.length} ${STRIPE_CHUNK / 512} ${mirrors.map((m) => `${m} 0`).join(" ")}`;
}

/** Every request fails. */
export function errorTable(sizeBytes: number): string {
  return `0 ${sizeBytes / 512} error`;
}

/** Two tables say the same: `dmsetup table` names devices by number, so both come with numbers here. */
export function sameTable(a: string, b: string): boolean {
  const words = (text: string) => text.trim().split(/\s+/).join(" ");
  return words(a) === words(b);
}
