/**
 * What the guard is told and answers: one request, one line of words between tabs; the answer's lines end with an empty one.
 * `program.ts` is the other end. Pure.
 */
import { MeshStorError } from "../../base/errors.ts";
import type { Watched } from "../../core/action.ts";

/** A volume device for the guard: it is known by its device-mapper UUID; `device` is its kernel name. */
export interface GuardedDevice {
  uuid: string;
  name: string;
  device: string;
}

/** Watch these connections; none: forget the volume. Times in ms of CLOCK_MONOTONIC. */
export interface Arm extends GuardedDevice {
  provenAtMs: number;
  graceMs: number;
  connections: readonly Watched[];
}

/** One volume as the guard has it. */
export interface GuardEntry extends Arm {
  /** `suspending`: its process waits for requests that are held, and new ones wait behind it (Z14). */
  state: "armed" | "suspending" | "suspended";
  /** A direct read was tried since, and hangs. */
  proven: boolean;
  /** Why the last suspend failed; empty: it did not. */
  failed: string;
}

export function armRequest(arm: Arm): string {
  return words("arm", arm.uuid, arm.name, arm.device, arm.provenAtMs.toFixed(3), String(Math.round(arm.graceMs)), ...arm.connections.flatMap((c) => [c.controller, c.nqn]));
}

export function suspendRequest({ uuid, name, device }: GuardedDevice): string {
  return words("suspend", uuid, name, device);
}

function words(...all: string[]): string {
  const bad = all.find((word) => /[\t\n]/.test(word) || word === "");
  if (bad !== undefined) throw new MeshStorError("Internal", `the guard cannot be told '${bad}'`);
  return all.join("\t");
}

/** The lines of a whole answer; null while its end has not come. */
export function parseAnswer(text: string): string[] | null {
  if (text === "\n") return [];
  return text.endsWith("\n\n") ? text.slice(0, -2).split("\n") : null;
}

/** `guard VERSION PID`; null if it is not a guard's. */
export function parseHello(lines: readonly string[]): { version: string; pid: number } | null {
  const [kind, version, pid] = (lines[0] ?? "").split("\t");
  return kind === "guard" && version !== undefined && /^\d+$/.test(pid ?? "") ? { version, pid: Number(pid) } : null;
}

/** Throws CommandFailed with what the guard said, unless it is `ok`. */
export function expectOK(lines: readonly string[], what: string): void {
  if (lines[0] !== "ok") throw new MeshStorError("CommandFailed", `the guard does not ${what}: ${lines[0] ?? "no answer"}`);
}

const STATES = ["armed", "suspending", "suspended"] as const;

/** Lines that do not read as an entry are left out: a guard that cannot be understood guards nothing. */
export function parseEntries(lines: readonly string[]): GuardEntry[] {
  return lines.map(parseEntry).filter((entry) => entry !== null);
}

function parseEntry(line: string): GuardEntry | null {
  const [uuid, name, device, word, proven, failed, provenAt, grace, ...pairs] = line.split("\t");
  const state = STATES.find((s) => s === word);
  const [provenAtMs, graceMs] = [Number(provenAt), Number(grace)];
  if (!uuid || !name || !device || !state || !Number.isFinite(provenAtMs) || !Number.isFinite(graceMs) || pairs.length % 2 !== 0) return null;
  const connections = Array.from({ length: pairs.length / 2 }, (_, i) => ({ controller: pairs[2 * i]!, nqn: pairs[2 * i + 1]! }));
  return { uuid, name, device, state, proven: proven === "1", failed: failed ?? "", provenAtMs, graceMs, connections };
}
