/** The same history's side in the lab: events are carried out on real kernels, and what stands is read from record, sysfs and drive files. */
import { volumeDeviceName } from "../../src/api/names.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { driveFaults } from "../../lab/guest/drives.ts";
import type { Drive } from "../../lab/guest/drives.ts";
import { HOST } from "../../lab/net/network.ts";
import { labPaths } from "../../lab/state.ts";
import { deleteVolume } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import type { World } from "../../lab/world/world.ts";
import { readFileSync } from "node:fs";
import { findPlace, readData, readMember } from "./drive-file.ts";
import type { Place } from "./drive-file.ts";
import type { CopyFacts, Facts } from "./facts.ts";
import { ranks, REGISTERS, stateText } from "./facts.ts";

const MiB = 1024 ** 2;
/** Size of the application's file: with chunks of 8 MiB it holds all registers' chunks whole. */
const FILE_MIB = 48;
const SECTOR = 4096;

/** Where the registers are: chunk of the array, and byte of the file. */
interface Register {
  chunk: number;
  chunkBytes: number;
  fileByte: number;
  dataByte: number;
}

export class LabSide {
  readonly #world: World;
  readonly #id: string;
  readonly #drives: ReadonlyMap<string, readonly Drive[]>;
  /** Guest by node of the history, and back. */
  readonly #guests: ReadonlyMap<string, string>;
  #on = "";
  #registers: Register[] = [];
  /** Where partitions were found: a drive that is pulled keeps its file. */
  readonly #places = new Map<string, Place>();

  private constructor(world: World, id: string, guests: ReadonlyMap<string, string>) {
    this.#world = world;
    this.#id = id;
    this.#guests = guests;
    const record = JSON.parse(readFileSync(labPaths(world.lab.id).record, "utf8")) as { nodes: { name: string; drives: Drive[] }[] };
    this.#drives = new Map(record.nodes.map((n) => [n.name, n.drives]));
  }

  /** A volume that was just made: its nodes are called a, b, … in the order of its partitions, the others after them. */
  static async of(world: World, id: string): Promise<LabSide> {
    const holders = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID);
    const names = [...holders, ...world.names.filter((name) => !holders.includes(name))];
    return new LabSide(world, id, new Map(["a", "b", "c"].map((name, i) => [name, names[i]!])));
  }

  /** Carries out one event; words as in history.ts. */
  async event(text: string): Promise<void> {
    const [name = "", x = "", y = ""] = text.split(" ");
    const world = this.#world;
    const [node, other] = [this.#guests.get(x) ?? "", this.#guests.get(y) ?? ""];
    switch (name) {
      case "settle":
        return;
      case "stage":
        return this.#stage(x, node);
      case "unstage":
        return this.#insist(`unstage on ${x}`, async () => {
          await world.node(node).unpublish(this.#id);
          await world.node(node).unstage(this.#id, 30);
        });
      case "write":
        return this.#write(Number(x), Number(y));
      case "off":
        return world.powerOff(node);
      case "on":
        return world.powerOn(node);
      case "taint":
      case "untaint":
        await world.kubectl("taint", "node", node, `node.kubernetes.io/out-of-service=nodeshutdown:NoExecute${name === "taint" ? "" : "-"}`);
        return;
      case "cut":
      case "cutoneway":
        return world.lab.net.cut(node, other, { oneWay: name === "cutoneway" });
      case "mute":
        for (const muted of x === "all" ? world.names : [node]) await world.lab.net.cut(muted, HOST);
        return;
      case "isolate":
        return world.lab.net.isolate(node);
      case "heal":
        return world.lab.net.heal();
      case "kill":
        return world.node(node).kill();
      case "start":
        return world.node(node).start();
      case "freeze":
        return world.lab.guest(node).freeze();
      case "thaw":
        return world.lab.guest(node).thaw();
      case "pull":
        return driveFaults.pull(world.lab.guest(node), await this.#driveAt(node));
      case "drop":
        await world.lab
          .guest(node)
          .sh(`for c in /sys/class/nvme/nvme*; do case "$(cat $c/subsysnqn)" in nqn.2025-12.io.meshstor:*) echo 1 >$c/delete_controller; exit 0;; esac; done; exit 1`);
        return;
      case "delete":
        return deleteVolume(world, this.#id);
      default:
        throw new Error(`no event ${text}`);
    }
  }

  async #stage(x: string, node: string): Promise<void> {
    const world = this.#world;
    await this.#insist(`stage on ${x}`, async () => {
      await world.node(node).stage(this.#id, 60);
      await world.node(node).publish(this.#id);
    });
    this.#on = node;
    if (this.#registers.length === 0) await this.#prepare(node);
  }

  /** As kubelet does: until it succeeds. */
  #insist(what: string, call: () => Promise<unknown>): Promise<void> {
    return eventually(`${what} of ${this.#id}`, 240, async () => {
      await call();
      return true;
    });
  }

  #file(node: string): string {
    return `${this.#world.node(node).targetPath(this.#id)}/registers`;
  }

  /** Makes the file, all written, and finds the chunks of the array that lie wholly in one piece of it. */
  async #prepare(node: string): Promise<void> {
    const guest = this.#world.lab.guest(node);
    const file = this.#file(node);
    await guest.sh(`fallocate -l ${FILE_MIB}M ${file} && dd if=/dev/zero of=${file} bs=1M count=${FILE_MIB} conv=notrunc,fsync oflag=direct status=none && sync -f ${file}`, {
      timeoutMs: 180_000,
    });
    const map = await guest.sh(`filefrag -v -b4096 ${file}`);
    const volume = (await this.#world.volume(this.#id))!;
    const member = this.#placesOf(volume)
      .map(({ place }) => place && readMember(place))
      .find((m) => m !== null);
    const { chunkBytes } = member!;
    const free: Register[] = [];
    // ext: logical_offset: physical_offset: length: flags, in blocks of 4096 bytes.
    for (const [, logical, physical, length] of map.matchAll(/^ *\d+: +(\d+)\.\. *\d+: +(\d+)\.\. *\d+: +(\d+):/gm)) {
      const [from, end] = [Number(physical) * SECTOR, (Number(physical) + Number(length)) * SECTOR];
      for (let chunk = Math.ceil(from / chunkBytes); (chunk + 1) * chunkBytes <= end; chunk += 1)
        free.push({ chunk, chunkBytes, dataByte: chunk * chunkBytes, fileByte: Number(logical) * SECTOR + chunk * chunkBytes - from });
    }
    if (free.length < REGISTERS.length) throw new Error(`the file has ${free.length} whole chunks of ${chunkBytes / MiB} MiB:\n${map}`);
    this.#registers = free.slice(0, REGISTERS.length);
  }

  /** Writes a register past the page cache and waits until it is on the members that count. */
  async #write(register: number, value: number): Promise<void> {
    const { fileByte } = this.#registers[REGISTERS.indexOf(register)]!;
    await this.#world.lab
      .guest(this.#on)
      .sh(
        `printf 'write %d\\n' ${value} | dd of=${this.#file(this.#on)} bs=${SECTOR} seek=${fileByte / SECTOR} iflag=fullblock oflag=direct conv=notrunc,sync,fdatasync status=none`,
        {
          timeoutMs: 240_000,
        },
      );
    await this.#untilMarksAreGone();
  }

  /** MD takes the marks of a write out of a whole array's bitmap some seconds later, the model at once: what comes next meets the same bitmap on both sides. */
  #untilMarksAreGone(): Promise<void> {
    return eventually("the bitmap is clear again after a write", 60, async () => {
      const { array, slots, copies } = await this.facts();
      const whole = Object.values(array).filter((flags) => flags.startsWith("in_sync")).length === slots;
      const marks = Object.entries(copies).flatMap(([name, copy]) => (copy?.dirty ?? []).map((chunk) => `${name} ${chunk}`));
      return !whole || marks.length === 0 || `marked: ${marks.join(", ")}`;
    });
  }

  #placesOf(volume: MeshStorVolume): { uuid: string; node: string; place: Place | null }[] {
    return (volume.status?.partitions ?? []).map(({ partitionUUID: uuid, nodeID: node }) => {
      const place = this.#places.get(uuid) ?? findPlace(this.#drives.get(node)!, uuid);
      if (place) this.#places.set(uuid, place);
      return { uuid, node, place };
    });
  }

  async #driveAt(node: string): Promise<number> {
    const volume = (await this.#world.volume(this.#id))!;
    return this.#placesOf(volume).find((p) => p.node === node)!.place!.index;
  }

  #nameOf(guest: string): string {
    return [...this.#guests].find(([, name]) => name === guest)?.[0] ?? guest;
  }

  async facts(): Promise<Facts> {
    const volume = (await this.#world.volume(this.#id))!;
    const { owner, epoch = 0, lastStop, former = [], mirrors = [], partitions = [] } = volume.status ?? {};
    const nameOfPart = (uuid: string) => this.#nameOf(partitions.find((p) => p.partitionUUID === uuid)?.nodeID ?? uuid);
    const { members, slots } = owner ? await this.#array(owner.nodeName, mirrors[0]?.arrayUUID ?? "") : { members: [], slots: 0 };
    return {
      owner: owner ? this.#nameOf(owner.nodeName) : null,
      epoch,
      lastStop: lastStop ?? null,
      former: former.map((f) => this.#nameOf(f.nodeName)).sort(),
      R: (mirrors[0]?.inSync ?? []).map(nameOfPart).sort(),
      generation: mirrors[0]?.generation ?? 0,
      partitions: Object.fromEntries(partitions.map((p) => [this.#nameOf(p.nodeID), stateText(p)])),
      staged: await this.#staged(),
      array: Object.fromEntries(members.map(([uuid, flags]) => [nameOfPart(uuid), flags])),
      slots,
      copies: this.#copies(volume),
    };
  }

  #copies(volume: MeshStorVolume): Facts["copies"] {
    const arrayUUID = volume.status?.mirrors?.[0]?.arrayUUID;
    const found = this.#placesOf(volume).flatMap(({ node, place }) => (place ? [{ node, place, member: readMember(place) }] : []));
    const counts = ranks(found.map(({ member }) => member?.events ?? -1));
    return Object.fromEntries(
      found.map(({ node, place, member }, i): [string, CopyFacts | null] => [
        this.#nameOf(node),
        member && {
          member: member.arrayUUID === arrayUUID,
          events: counts[i]!,
          dirty: REGISTERS.filter((_, k) => member.dirty.includes(this.#registers[k]?.chunk ?? -1)),
          registers: REGISTERS.map((_, k) => (this.#registers[k] ? numberIn(readData(place, this.#registers[k].dataByte, 64)) : 0)),
        },
      ]),
    );
  }

  async #staged(): Promise<string[]> {
    const on = this.#world.names.filter((name) => this.#world.lab.guest(name).state === "on");
    const device = `/dev/mapper/${volumeDeviceName(this.#id)}`;
    const mounted = await Promise.all(on.map(async (name) => ((await this.#world.lab.guest(name).sh("cat /proc/mounts")).includes(`${device} `) ? [this.#nameOf(name)] : [])));
    return mounted.flat().sort();
  }

  /** Members of an array by the names of their windows, with what MD says of each. */
  async #array(node: string, arrayUUID: string): Promise<{ members: [string, string][]; slots: number }> {
    const guest = this.#world.lab.guest(node);
    if (guest.state !== "on") return { members: [], slots: 0 };
    const said = await guest.sh(`set +e
for m in /sys/block/md*/md; do
  [ -e "$m/array_state" ] && [ "$(cat $m/uuid | tr -d ':-')" = ${arrayUUID.replaceAll("-", "")} ] || continue
  echo "slots $(cat $m/raid_disks)"
  for d in $m/dev-*; do echo "$(cat $(readlink -f $d/block)/dm/name) $(cat $d/state)"; done
done
true`);
    const lines = said.split("\n").map((line) => line.split(" "));
    const members = lines.flatMap(([name = "", flags = ""]): [string, string][] => (name.startsWith("msmember-") ? [[name.slice("msmember-".length), flags]] : []));
    return { members, slots: Number(lines.find(([word]) => word === "slots")?.[1] ?? 0) };
  }
}

function numberIn(bytes: Buffer): number {
  if (bytes.every((byte) => byte === 0)) return 0;
  return Number(/^write (\d+)\n/.exec(bytes.toString("latin1"))?.[1] ?? "-1");
}
