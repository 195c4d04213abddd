/**
 * Small files of the kernel (sysfs, configfs, proc): always asynchronous, with a deadline, and
 * never a second access to a file on which one still hangs, so that a stuck attribute costs one
 * thread and not one per pass (Z4). Reads go together through one worker (reader.ts), changes through
 * libuv's pool; main sets UV_THREADPOOL_SIZE to 32.
 */
import { access as probePath, close, constants, mkdir, open, readFile, rmdir, stat, type Stats, symlink, unlink, write } from "node:fs";
import { MeshStorError } from "../base/errors.ts";
import { stretched } from "../base/time-scale.ts";
import { reader } from "./reader.ts";
import { stranded } from "./stranded.ts";

/** Longest wait for one small file, in ms. */
export const FILE_DEADLINE_MS = stretched(2_000);

/** Paths on which an access hangs now. */
const stuck = new Set<string>();

/** Where the kernel's trees are; replaced in tests. */
export interface Roots {
  sys: string;
  proc: string;
  configfs: string;
  debugfs: string;
  dev: string;
}
export const ROOTS: Roots = { sys: "/sys", proc: "/proc", configfs: "/sys/kernel/config", debugfs: "/sys/kernel/debug", dev: "/dev" };

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** One access through the pool: fails with CommandTimedOut after the deadline; the thread it holds is then counted. */
function access<T>(path: string, deadlineMs: number, start: (done: Callback<T>) => void): Promise<T> {
  if (stuck.has(path)) return Promise.reject(new MeshStorError("CommandTimedOut", `an earlier access to ${path} has not ended`));
  return new Promise((resolve, reject) => {
    let recovered: (() => void) | null = null;
    const timer = setTimeout(() => {
      stuck.add(path);
      const free = stranded.add(`access to ${path}`, "");
      recovered = () => {
        stuck.delete(path);
        free();
      };
      reject(new MeshStorError("CommandTimedOut", `${path} did not answer within ${deadlineMs} ms`));
    }, deadlineMs);
    start((error, value) => {
      clearTimeout(timer);
      recovered?.();
      if (error) reject(error);
      else resolve(value);
    });
  });
}

/** Text of a file. Throws the system's error, or CommandTimedOut. */
export async function readText(path: string, deadlineMs = FILE_DEADLINE_MS): Promise<string> {
  return (await reader.read("text", path, deadlineMs)) as string;
}

/** Like {@link readAttribute}, but never behind anything else that is being read: for what is asked several times a second. */
export async function readAlone(path: string): Promise<string | null> {
  try {
    return (await access<string>(path, FILE_DEADLINE_MS, (done) => readFile(path, "utf8", done))).trim();
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Inode number of a path; null if it is not there. The kernel gives every object in sysfs a new one, also when its name is used again. */
export async function inodeOf(path: string): Promise<number | null> {
  try {
    return (await reader.read("inode", path, FILE_DEADLINE_MS)) as number;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Codes that say that the object is gone or has no such attribute. */
const ABSENT = new Set(["ENOENT", "ENODEV", "ENXIO", "EINVAL", "ENOTDIR", "ENOTSUP", "EOPNOTSUPP"]);

/** True for an error that means "it is not there". */
export function isAbsent(error: unknown): boolean {
  return ABSENT.has((error as NodeJS.ErrnoException | null)?.code ?? "");
}

/** A trimmed attribute; null if the object is gone or has no such attribute. */
export async function readAttribute(path: string): Promise<string | null> {
  try {
    return (await readText(path)).trim();
  } catch (error) {
    // EBUSY is what an array's attributes say while it goes away (md.c, md_attr_show).
    if (isAbsent(error) || (error as NodeJS.ErrnoException | null)?.code === "EBUSY") return null;
    throw error;
  }
}

/** Names in a directory; empty if it is not there. */
export async function listDir(path: string): Promise<string[]> {
  try {
    return (await reader.read("list", path, FILE_DEADLINE_MS)) as string[];
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** Target of a symbolic link; null if there is none. */
export async function readLink(path: string): Promise<string | null> {
  try {
    return (await reader.read("link", path, FILE_DEADLINE_MS)) as string;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** True if the path exists; a hanging path is an error, not an absence. */
export async function exists(path: string): Promise<boolean> {
  try {
    await access<void>(path, FILE_DEADLINE_MS, (done) => probePath(path, (error) => done(error, undefined)));
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** `major:minor` of a device node, links followed; null if there is none, or something else (makedev(3)). */
export async function nodeNumber(path: string): Promise<string | null> {
  try {
    const { mode, rdev } = await access<Stats>(path, FILE_DEADLINE_MS, (done) => stat(path, done));
    if ((mode & constants.S_IFMT) !== constants.S_IFBLK) return null;
    return deviceNumber(rdev);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** How glibc packs major and minor into one number (gnu/sysmacros.h); 32 bits are enough for Linux. */
export function deviceNumber(rdev: number): string {
  return `${(rdev >>> 8) & 0xfff}:${((rdev >>> 12) & 0xfff00) | (rdev & 0xff)}`;
}

/** Writes an attribute with one write call (configfs, and sysfs attributes that take no array lock). */
export function writeAttribute(path: string, value: string, deadlineMs = FILE_DEADLINE_MS): Promise<void> {
  return access<void>(path, deadlineMs, (done) => writeWhole(path, value, done));
}

function writeWhole(path: string, value: string, done: Callback<void>): void {
  open(path, "w", (openError, fd) => {
    if (openError) return done(openError, undefined);
    write(fd, value, (writeError) => close(fd, () => done(writeError, undefined)));
  });
}

/** Makes a directory; one that exists is success. */
export function makeDir(path: string): Promise<void> {
  return access<void>(path, FILE_DEADLINE_MS, (done) => mkdir(path, (error) => done(error?.code === "EEXIST" ? null : error, undefined)));
}

/** Removes a directory; one that is gone is success. */
export function removeDir(path: string, deadlineMs = FILE_DEADLINE_MS): Promise<void> {
  return access<void>(path, deadlineMs, (done) => rmdir(path, (error) => done(error?.code === "ENOENT" ? null : error, undefined)));
}

/** Makes a symbolic link; one that exists is success. */
export function makeLink(target: string, path: string): Promise<void> {
  return access<void>(path, FILE_DEADLINE_MS, (done) => symlink(target, path, (error) => done(error?.code === "EEXIST" ? null : error, undefined)));
}

/** Removes a symbolic link or a node; one that is gone is success. */
export function removeLink(path: string, deadlineMs = FILE_DEADLINE_MS): Promise<void> {
  return access<void>(path, deadlineMs, (done) => unlink(path, (error) => done(error?.code === "ENOENT" ? null : error, undefined)));
}

/** Waits until `probe` returns something else than null, asking every `stepMs`; null when the time is over. */
export async function poll<T>(deadlineMs: number, stepMs: number, probe: () => Promise<T | null>): Promise<T | null> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found !== null || performance.now() >= end) return found;
    await new Promise((resolve) => setTimeout(resolve, stepMs));
  }
}
