/** Rules for the arguments of CSI calls; each refusal is one sentence that names the field and the value. */
import { posix } from "node:path";

import { VOLUME_TOPOLOGY_KEY } from "../api/names.ts";
import { isVolumeName } from "../api/volume-name.ts";
import { MeshStorError } from "../base/errors.ts";
import { formatBytes, GiB, MiB, roundDown, roundUp } from "../base/units.ts";
import type { CapacityRange, Topology, TopologyRequirement } from "./gen/csi_pb.ts";
import { quoted } from "./quoted.ts";

export const MINIMUM_CAPACITY = 512 * MiB;
/** Size of a volume whose caller names none. */
export const DEFAULT_CAPACITY = GiB;
const LONGEST_PATH = 4095;

/** A volume id that can be one of ours; nothing else is looked up or comes near a host. @throws MeshStorError InvalidParameter if missing, VolumeNotFound if it cannot exist. */
export function checkVolumeID(volumeID: string): string {
  if (volumeID === "") throw new MeshStorError("InvalidParameter", "volume_id is missing");
  if (!isVolumeName(volumeID)) throw new MeshStorError("VolumeNotFound", `volume_id ${quoted(volumeID)}: there is no such volume`);
  return volumeID;
}

/** An absolute path in its shortest form. @throws MeshStorError InvalidParameter */
export function checkPath(field: string, path: string): string {
  const refuse = (why: string) => new MeshStorError("InvalidParameter", `${field} ${quoted(path)} ${why}`);
  if (path === "") throw new MeshStorError("InvalidParameter", `${field} is missing`);
  if (!posix.isAbsolute(path)) throw refuse("is not an absolute path");
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refuse("contains a control character");
  if (Buffer.byteLength(path) > LONGEST_PATH) throw refuse(`is longer than ${LONGEST_PATH} bytes`);
  if (path.split("/").some((part) => part === ".." || part === ".")) throw refuse("contains '.' or '..'");
  const shortest = posix.normalize(path).replace(/(?<=.)\/$/, "");
  if (shortest === "/") throw refuse("is the root directory");
  return shortest;
}

/** Two paths of one call, neither of which may be or contain the other. @throws MeshStorError InvalidParameter */
export function checkApart(first: { field: string; path: string }, second: { field: string; path: string }): void {
  if (first.path === second.path) throw new MeshStorError("InvalidParameter", `${first.field} and ${second.field} are the same path ${quoted(first.path)}`);
  const within = first.path.startsWith(`${second.path}/`) || second.path.startsWith(`${first.path}/`);
  if (within) throw new MeshStorError("InvalidParameter", `${first.field} ${quoted(first.path)} and ${second.field} ${quoted(second.path)} lie one within the other`);
}

/** What a capacity range asks for. */
export interface SizeWish {
  /** Size of a new volume, in whole MiB. */
  capacityBytes: number;
  /** Sizes that an existing volume may have to count as the same; without a limit only `capacityBytes`. */
  atLeast: number;
  atMost: number;
}

/** The size of a volume. @throws MeshStorError SizeOutOfRange */
export function checkSize(range: CapacityRange | undefined): SizeWish {
  const required = bytesOf("capacity_range.required_bytes", range?.requiredBytes ?? 0n);
  const limit = bytesOf("capacity_range.limit_bytes", range?.limitBytes ?? 0n);
  const refuse = (sentence: string) => new MeshStorError("SizeOutOfRange", sentence);
  if (limit > 0 && limit < required) throw refuse(`capacity_range.limit_bytes ${limit} is below required_bytes ${required}`);
  if (limit > 0 && limit < MINIMUM_CAPACITY) throw refuse(`capacity_range.limit_bytes ${limit} (${formatBytes(limit)}) is below the smallest volume, 512 MiB`);
  if (required > 0 && required < MINIMUM_CAPACITY) throw refuse(`capacity_range.required_bytes ${required} (${formatBytes(required)}) is below the smallest volume, 512 MiB`);
  const wanted = required > 0 ? roundUp(required, MiB) : Math.min(DEFAULT_CAPACITY, limit > 0 ? roundDown(limit, MiB) : DEFAULT_CAPACITY);
  if (limit > 0 && wanted > limit) throw refuse(`capacity_range: no whole number of MiB lies between required_bytes ${required} and limit_bytes ${limit}`);
  return { capacityBytes: wanted, atLeast: required > 0 ? required : MINIMUM_CAPACITY, atMost: limit > 0 ? limit : wanted };
}

/** The size that a volume shall grow to. @throws MeshStorError InvalidParameter, SizeOutOfRange */
export function checkExpansion(range: CapacityRange | undefined): { capacityBytes: number; atLeast: number; atMost: number | null } {
  if (!range || (range.requiredBytes === 0n && range.limitBytes === 0n)) throw new MeshStorError("InvalidParameter", "capacity_range is missing");
  const { capacityBytes, atLeast } = checkSize(range);
  return { capacityBytes, atLeast, atMost: range.limitBytes === 0n ? null : Number(range.limitBytes) };
}

function bytesOf(field: string, value: bigint): number {
  if (value < 0n) throw new MeshStorError("SizeOutOfRange", `${field} ${value} is negative`);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new MeshStorError("SizeOutOfRange", `${field} ${value} is beyond every drive`);
  return Number(value);
}

/** Nodes that a topology requirement names. */
export interface TopologyWish {
  /** The node that gets the first copy if it can hold one. */
  preferredNodes: string[];
  /** The nodes that are to be used rather than others; empty if none are named. */
  favouredNodes: string[];
}

/** Reads a topology requirement. A volume can be used from every node, so it only guides the first placement. */
export function readTopology(requirement: TopologyRequirement | undefined): TopologyWish {
  const nodes = (list: readonly Topology[]) => [...new Set(list.flatMap((topology) => topology.segments[VOLUME_TOPOLOGY_KEY] ?? []))];
  return { preferredNodes: nodes(requirement?.preferred ?? []).slice(0, 1), favouredNodes: nodes(requirement?.requisite ?? []) };
}

/** Nodes that an accessible topology names; undefined if it says nothing. Another driver's keys name no node of ours. */
export function nodesWithin(topology: Topology | undefined): string[] | undefined {
  const keys = Object.keys(topology?.segments ?? {});
  if (keys.length === 0) return undefined;
  const node = topology?.segments[VOLUME_TOPOLOGY_KEY];
  return node === undefined ? [] : [node];
}

/** A page of a list that is sorted by name. */
export interface PageWish {
  /** 0 means all. */
  maxEntries: number;
  /** Last name of the page before; empty for the first page. */
  after: string;
}

const TOKEN = /^after:/;

/** The token that continues a list after this name. */
export function pageToken(name: string): string {
  return Buffer.from(`after:${name}`).toString("base64url");
}

/** Reads the paging arguments. @throws MeshStorError InvalidParameter, BadPageToken. */
export function checkPage(maxEntries: number, startingToken: string): PageWish {
  if (maxEntries < 0) throw new MeshStorError("InvalidParameter", `max_entries ${maxEntries} is negative`);
  if (startingToken === "") return { maxEntries, after: "" };
  const decoded = Buffer.from(startingToken, "base64url").toString();
  if (!TOKEN.test(decoded) || pageToken(decoded.replace(TOKEN, "")) !== startingToken) {
    throw new MeshStorError("BadPageToken", `starting_token ${quoted(startingToken)} is not one of ours`);
  }
  return { maxEntries, after: decoded.replace(TOKEN, "") };
}
