/** A guest of the lab with the host layer's program in it. */
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostAction } from "../../src/core/action.ts";
import type { HostSnapshot } from "../../src/core/observed.ts";
import { GiB } from "../../src/base/units.ts";
import { Lab } from "../../lab/cluster.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { bundle } from "../../tools/bundle.ts";
import type { Done, Request, Response } from "./program.ts";

/** Two guests, each with a 512-byte drive that has Write Zeroes and a 4096-byte one that has not; $CMDLINE adds kernel parameters. */
export async function createHostLab(): Promise<{ lab: Lab; n1: HostNode; n2: HostNode }> {
  const drives = [{ size: 4 * GiB }, { size: 2 * GiB, sectorSize: 4096 as const, writeZeroes: false }];
  const lab = await Lab.create({ nodes: ["n1", "n2"].map((name) => ({ name, drives, cmdline: process.env["CMDLINE"] ?? "" })) });
  const file = join(mkdtempSync(join(tmpdir(), "host-lab-")), "program.mjs");
  await bundle("test/host/program.ts", file);
  lab.share("program.mjs", file);
  return { lab, n1: new HostNode(lab, "n1"), n2: new HostNode(lab, "n2") };
}

export class HostNode {
  readonly guest: Guest;
  readonly uid: string;
  readonly address: string;

  constructor(lab: Lab, name: string) {
    this.guest = lab.guest(name);
    this.uid = `99999999-0000-4000-8000-0000000000${name === "n1" ? "01" : "02"}`;
    this.address = lab.net.addresses(name).ipv4;
  }

  /** Runs the program with a request. Its deadlines are longer than on hardware: a busy machine is no fault. */
  async call(request: Omit<Request, "nodeUID">): Promise<Response> {
    const stdin = JSON.stringify({ nodeUID: this.uid, ...request });
    const result = await this.guest.exec(["node", "/lab/share/program.mjs"], { stdin, env: { MESHSTOR_TIME_SCALE: "3" }, timeoutMs: 180_000 });
    return JSON.parse(result.stdout) as Response;
  }

  /** Carries the actions out one after the other; any error fails the test. */
  async apply(...actions: HostAction[]): Promise<Done[]> {
    const { done } = await this.call({ actions });
    for (const d of done) assert.equal(d.error, null, `${d.kind}: ${JSON.stringify(d.error)}`);
    if (process.env["VERBOSE"]) process.stderr.write(`${this.guest.name} ${done.map((d) => `${d.kind} ${d.ms} ms`).join(", ")}\n`);
    return done;
  }

  /** Carries one action out that must be refused; returns how. */
  async refused(action: HostAction): Promise<{ code: string; message: string }> {
    const error = (await this.call({ actions: [action] })).done[0]!.error;
    assert.ok(error !== null, `${action.kind} was carried out`);
    return error;
  }

  async observe(): Promise<HostSnapshot> {
    return (await this.call({})).snapshot;
  }

  /** A partition that must be there. */
  async partition(uuid: string): Promise<HostSnapshot["partitions"][number]> {
    return (await this.observe()).partitions.find((p) => p.uuid === uuid)!;
  }
}
