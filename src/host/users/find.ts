/**
 * Processes that use a volume device or the filesystem on it, of all mount namespaces (Z15): by open files, working directory,
 * root, program, mapped files, and by living in a container that has it mounted. Every reading has a deadline of its own; what a
 * process has on another machine's filesystem is not touched, so that a dead NFS server stops nobody.
 */
import { MeshStorError } from "../../base/errors.ts";
import { pids } from "../fence/processes.ts";
import { deviceNumbers, listDir, readLink, readText, ROOTS } from "../files.ts";
import type { MountPlace } from "./parse.ts";
import { isContainerOf, isNoFile, isRemote, mappedNodes, mapsNumber, mountIDOf, numberText, parsePlaces, placeOf } from "./parse.ts";

export interface UserProcess {
  pid: number;
  name: string;
  /** How it uses it, for messages: `fd 3`, `working directory`, … */
  by: string;
}

/** `number`: the volume device's. `targets`: where this node has it mounted. Kernel threads are never found. */
export async function findUsers(number: string, targets: readonly string[]): Promise<UserProcess[]> {
  const namespaces = new Map<string, Promise<MountPlace[]>>();
  const places = async (pid: number): Promise<{ ns: string; list: MountPlace[] }> => {
    const ns = (await quiet(readLink(`${ROOTS.proc}/${pid}/ns/mnt`))) ?? `of ${pid}`;
    if (!namespaces.has(ns))
      namespaces.set(
        ns,
        quiet(readText(`${ROOTS.proc}/${pid}/mountinfo`)).then((text) => parsePlaces(text ?? "")),
      );
    return { ns, list: await namespaces.get(ns)! };
  };
  const [host, own] = await Promise.all([places(1), places(process.pid)]);
  const look = async (pid: number): Promise<UserProcess | null> => {
    const { ns, list } = await places(pid);
    const contained = ns !== host.ns && ns !== own.ns && isContainerOf(list, number, targets);
    const by = contained ? "its container has it mounted" : await useOf(pid, number, list);
    if (by === null) return null;
    return { pid, name: ((await quiet(readText(`${ROOTS.proc}/${pid}/comm`))) ?? "?").trim(), by };
  };
  return (await Promise.all((await pids()).map(look))).filter((user) => user !== null);
}

async function useOf(pid: number, number: string, places: readonly MountPlace[]): Promise<string | null> {
  const at = await living(pid);
  if (at === null) return null;
  const fds = (await quiet(listDir(`${at}/fd`))) ?? [];
  const links = [
    ...[
      ["cwd", "working directory"],
      ["root", "root"],
      ["exe", "program"],
    ].map(([file, by]) => ({ path: `${at}/${file}`, info: null, by: by! })),
    ...fds.map((fd) => ({ path: `${at}/fd/${fd}`, info: `${at}/fdinfo/${fd}`, by: `fd ${fd}` })),
  ];
  const used = await Promise.all(links.map(async (link) => ((await isOn(link, number, places)) ? link.by : null)));
  const first = used.find((by) => by !== null);
  if (first !== undefined) return first;
  const maps = await quiet(readText(`${at}/maps`), "hangs");
  // It waits with its address space locked: a user, if it can be one (it sees the filesystem).
  if (maps === "hangs") return places.some((p) => p.number === number) ? "its address space is locked" : null;
  if (maps === null) return null;
  return mapsNumber(maps, number) || (await mapsDevice(at, maps, number)) ? "mapped file" : null;
}

/** A raw device that is mapped shows the number of the filesystem its node is on; what the mapping leads to is looked at (proc_pid_map_files(5)). */
async function mapsDevice(at: string, maps: string, number: string): Promise<boolean> {
  const found = await Promise.all(mappedNodes(maps).map((range) => quiet(deviceNumbers(`${at}/map_files/${range}`))));
  return found.some((f) => f !== null && f.block && numberText(f.rdev) === number);
}

/**
 * Where a thread of the process shows what all of them have open: the first one, or another if that has ended. Null for what
 * runs no program: kernel threads, and what is gone.
 */
async function living(pid: number): Promise<string | null> {
  const at = `${ROOTS.proc}/${pid}`;
  const runs = async (path: string): Promise<boolean> => (await quiet(readLink(`${path}/exe`))) !== null;
  if (await runs(at)) return at;
  const others = ((await quiet(listDir(`${at}/task`))) ?? []).filter((tid) => tid !== String(pid)).map((tid) => `${at}/task/${tid}`);
  const found = await Promise.all(others.map(runs));
  return others[found.indexOf(true)] ?? null;
}

async function isOn(link: { path: string; info: string | null }, number: string, places: readonly MountPlace[]): Promise<boolean> {
  const target = await quiet(readLink(link.path));
  if (target === null || isNoFile(target)) return false;
  const id = link.info === null ? null : mountIDOf((await quiet(readText(link.info))) ?? "");
  const place = id === null ? placeOf(target, places) : (places.find((p) => p.id === id) ?? null);
  if (place?.number === number && id !== null) return true;
  if (place !== null && isRemote(place.fsType)) return false;
  const found = await quiet(deviceNumbers(link.path));
  return found !== null && (numberText(found.dev) === number || (found.block && numberText(found.rdev) === number));
}

/** Null for whatever ended meanwhile or may not be read; `onHang` for what does not answer. */
async function quiet<T>(reading: Promise<T>): Promise<T | null>;
async function quiet<T>(reading: Promise<T>, onHang: T): Promise<T | null>;
async function quiet<T>(reading: Promise<T>, onHang: T | null = null): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    return error instanceof MeshStorError && error.code === "CommandTimedOut" ? onHang : null;
  }
}
