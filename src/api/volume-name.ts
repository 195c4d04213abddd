/** From the name that a CSI caller asks for to the name of the MeshStorVolume, which is also the CSI volume id. */
import { createHash } from "node:crypto";
import { MeshStorError } from "../base/errors.ts";

/** Longest name of a volume: device-mapper names end at 127 characters, and `meshstor-` takes nine (volumeDeviceName). */
export const MAX_VOLUME_NAME = 118;

const REQUESTED = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const DNS_1123_SUBDOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/** True if a volume can have this name: a DNS-1123 subdomain of at most 118 characters. */
export function isVolumeName(name: string): boolean {
  return name.length <= MAX_VOLUME_NAME && DNS_1123_SUBDOMAIN.test(name);
}

/**
 * The volume's name for a requested one: the same where it can be, else lower-cased, cleaned and made distinct by ten
 * digits of a hash. Two requests can still meet in one name (a request may look like what another one is turned into), so
 * the caller compares `spec.requestedName ?? metadata.name` of a volume that exists with the request.
 * @throws MeshStorError InvalidName
 */
export function volumeNameFor(requested: string): string {
  if (isVolumeName(requested)) return requested;
  if (!REQUESTED.test(requested)) {
    throw new MeshStorError(
      "InvalidName",
      `the volume name ${excerpt(requested)} is not allowed: it must be letters, digits, '-', '_' and '.', at most 128 of them, beginning with a letter or digit.`,
    );
  }
  const suffix = `-${createHash("sha256").update(requested).digest("hex").slice(0, 10)}`;
  const cleaned = requested
    .toLowerCase()
    .replaceAll("_", "-")
    .slice(0, MAX_VOLUME_NAME - suffix.length);
  const labels = cleaned.split(".").map((label) => label.replace(/^-+|-+$/g, ""));
  return labels.filter((label) => label !== "").join(".") + suffix;
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
