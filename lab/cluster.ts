/** A lab: guests, their drives and the network between them. */
import { copyFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { ensurePackages } from "../tools/setup/apt.ts";
import type { GuestKind, GuestRoot } from "./guest/context.ts";
import { resolveDrives, type DriveSpec } from "./guest/drives.ts";
import type { Connect } from "./guest/exec-client.ts";
import type { Guest } from "./guest/guest.ts";
import { bundleExecd, EXEC_PORT } from "./guest/host-dir.ts";
import { GUEST_KINDS } from "./guest/kinds.ts";
import { balance } from "./guest/process/balance.ts";
import { identify, readRunState } from "./guest/run-state.ts";
import { addressesOf } from "./net/addresses.ts";
import { createNamespace } from "./net/namespace.ts";
import { LabNetwork } from "./net/network.ts";
import { connectThroughRelay, dropThroughRelay, startRelay } from "./net/relay-client.ts";
import { takeSlot } from "./slots.ts";
import { createLabDirs, labPaths, readRecord, type LabRecord, type NodeRecord } from "./state.ts";
import { destroyLabSync, sweepLabs } from "./sweep.ts";

/** A guest that a lab shall have. */
export interface NodeSpec {
  /** Letters, digits and dashes, at most 12. */
  readonly name: string;
  readonly drives?: readonly DriveSpec[];
  readonly kind?: GuestKind;
  /** More kernel parameters, e.g. "nvme_core.multipath=N". */
  readonly cmdline?: string;
  readonly memoryMiB?: number;
  /** Virtual CPUs of an emulated guest; 1 by default. */
  readonly vcpus?: number;
  /** "lab" by default; a process guest cannot be a stock Debian host. */
  readonly root?: GuestRoot;
  /** Kernel series of this guest; the lab's by default. */
  readonly kernel?: string;
  /** Whether /var/lib/lab outlives a power cut; false by default. */
  readonly persist?: boolean;
}

/** What {@link Lab.create} makes. */
export interface LabSpec {
  /** Random by default; at most 12 letters, digits and dashes. */
  readonly id?: string;
  readonly nodes: readonly NodeSpec[];
  /** Kernel series: "6.12" or "7.2"; by default $MESHSTOR_LAB_KERNEL, else "6.12". */
  readonly kernel?: string;
  /** Host directory for consoles and logs, kept after the lab; inside the lab's own directory by default. */
  readonly logDir?: string;
  /** The lab outlives this process, until somebody takes it down. */
  readonly detached?: boolean;
  /** Guests that are not powered on yet; none by default. */
  readonly off?: readonly string[];
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/;

/** Packages on the host that every lab needs. */
const HOST_PACKAGES = ["iproute2", "nftables", "util-linux"];

/** See the module's comment. */
export class Lab {
  readonly id: string;
  readonly net: LabNetwork;
  readonly kernel: string;
  /** Consoles and logs. */
  readonly logDir: string;
  /** Host directory that every guest sees read-only as /lab/share; see {@link share}. */
  readonly shareDir: string;
  readonly names: readonly string[];
  readonly #guests: ReadonlyMap<string, Guest>;
  #stopBalance: () => void = () => {};

  private constructor(record: LabRecord) {
    const paths = labPaths(record.id);
    this.id = record.id;
    this.kernel = record.kernel;
    this.logDir = record.logDir;
    this.shareDir = paths.share;
    this.names = record.nodes.map((node) => node.name);
    this.net = new LabNetwork(record.id, this.names, paths);
    this.#guests = new Map(record.nodes.map((node, at) => [node.name, this.#makeGuest(record, node, at + 1)]));
  }

  /** Makes a lab and powers its guests on, all at once; on failure nothing is left but the logs. */
  static async create(spec: LabSpec): Promise<Lab> {
    await ensurePackages(HOST_PACKAGES);
    await sweepLabs();
    if (spec.id !== undefined && readRecord(spec.id) !== undefined) throw new Error(`lab "${spec.id}" is there already: "npm run lab -- --lab ${spec.id} down" takes it down`);
    if (spec.detached !== true) freeSlots.push(await takeSlot());
    const record = recordOf(spec);
    createLabDirs(record);
    if (spec.detached !== true) destroyAtExit(record.id);
    try {
      const paths = labPaths(record.id);
      const bundled = bundleExecd(paths.execd);
      await createNamespace(record.id, record.nodes.length);
      await Promise.all([bundled, startRelay(record.id, paths.relay, join(record.logDir, "relay.log"))]);
      const lab = new Lab(record);
      if (spec.detached !== true) lab.#stopBalance = balance(() => lab.#leaders());
      await Promise.all(lab.names.filter((name) => spec.off?.includes(name) !== true).map((name) => lab.guest(name).powerOn()));
      return lab;
    } catch (error) {
      destroyLabSync(record.id);
      freeSlots.pop()?.();
      throw error;
    }
  }

  /** Goes on with a lab that another process made; throws when there is none. */
  static attach(id: string): Lab {
    const record = readRecord(id);
    if (record === undefined) throw new Error(`there is no lab "${id}"`);
    return new Lab(record);
  }

  /** A guest by name. */
  guest(name: string): Guest {
    const guest = this.#guests.get(name);
    if (guest === undefined) throw new Error(`no guest "${name}" in this lab; there are ${this.names.join(", ")}`);
    return guest;
  }

  /** All guests. */
  get guests(): Guest[] {
    return [...this.#guests.values()];
  }

  /** Puts a host file into /lab/share of all guests under a name; returns its path there. A newer file replaces it whole. */
  share(name: string, hostPath: string): string {
    const target = join(this.shareDir, name);
    copyFileSync(hostPath, `${target}.new`);
    renameSync(`${target}.new`, target);
    return `/lab/share/${name}`;
  }

  /** Pulls every plug and removes everything but logs kept elsewhere. */
  async destroy(): Promise<void> {
    this.#stopBalance();
    destroyLabSync(this.id);
    ownLabs.delete(this.id);
    freeSlots.pop()?.();
  }

  /** Opens connections to a guest's exec daemon, for what {@link Guest} does not offer. */
  connector(name: string): Connect {
    const { management } = this.net.addresses(name);
    return () => this.net.connect(management, EXEC_PORT);
  }

  /** First processes of the process guests that are on. */
  #leaders(): number[] {
    return this.guests.filter((guest) => guest.kind === "process").flatMap(({ name }) => readRunState(labPaths(this.id).runState(name)).process?.pid ?? []);
  }

  #makeGuest(record: LabRecord, node: NodeRecord, index: number): Guest {
    const factory = GUEST_KINDS[node.kind];
    if (factory === undefined) throw new Error(`guests of kind "${node.kind}" do not exist yet`);
    const paths = labPaths(record.id);
    const { management } = addressesOf(index);
    return factory({
      labId: record.id,
      name: node.name,
      index,
      names: this.names,
      kernel: node.kernel ?? record.kernel,
      memoryMiB: node.memoryMiB,
      vcpus: node.vcpus,
      root: node.root,
      cmdline: node.cmdline,
      drives: node.drives,
      paths: {
        own: paths.guest(node.name),
        runState: paths.runState(node.name),
        share: paths.share,
        persist: node.persist ? join(paths.guest(node.name), "persist") : undefined,
        sockets: paths.sockets,
        console: join(record.logDir, `${node.name}.console`),
        execd: paths.execd,
      },
      connect: () => connectThroughRelay(paths.relay, management, EXEC_PORT),
      disconnect: () => dropThroughRelay(paths.relay, management),
    });
  }
}

function recordOf(spec: LabSpec): LabRecord {
  const id = spec.id ?? randomBytes(3).toString("hex");
  for (const name of [id, ...spec.nodes.map((node) => node.name)]) {
    if (!NAME.test(name)) throw new Error(`"${name}" is no name for a lab or guest: 1 to 12 small letters, digits and dashes`);
  }
  if (new Set(spec.nodes.map((node) => node.name)).size !== spec.nodes.length) throw new Error("two guests have the same name");
  const mistaken = spec.nodes.find(({ kind = "process", vcpus = 1, root = "lab" }) => kind === "process" && (vcpus !== 1 || root === "debian-host"));
  if (mistaken !== undefined) throw new Error(`${mistaken.name}: a process guest has one CPU and one of the lab's roots`);
  const paths = labPaths(id);
  const owner = spec.detached === true ? undefined : identify(process.pid);
  return {
    id,
    createdAt: new Date().toISOString(),
    ...(owner === undefined ? {} : { owner }),
    kernel: spec.kernel ?? (process.env["MESHSTOR_LAB_KERNEL"] || "6.12"),
    logDir: spec.logDir ?? join(paths.dir, "logs"),
    nodes: spec.nodes.map((node) => ({
      name: node.name,
      kind: node.kind ?? "process",
      memoryMiB: node.memoryMiB ?? 768,
      vcpus: node.vcpus ?? 1,
      root: node.root ?? "lab",
      ...(node.kernel === undefined ? {} : { kernel: node.kernel }),
      cmdline: node.cmdline ?? "",
      persist: node.persist ?? false,
      drives: resolveDrives(id, node.name, node.drives ?? [{}], paths.drives),
    })),
  };
}

/** Gives back the slots that this process holds (slots.ts); they are alike, so any of them will do. */
const freeSlots: (() => void)[] = [];

/** Labs that end with this process. */
const ownLabs = new Set<string>();

function destroyAtExit(id: string): void {
  if (ownLabs.size === 0) installExitHandlers();
  ownLabs.add(id);
}

let handlersInstalled = false;

function installExitHandlers(): void {
  if (handlersInstalled) return;
  handlersInstalled = true;
  process.on("exit", () => {
    for (const id of ownLabs) destroyLabSync(id);
  });
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.on(signal, () => process.exit(128 + number));
  }
}
