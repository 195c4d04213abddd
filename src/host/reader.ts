/**
 * Reads many small files of the kernel in one go. A snapshot needs some thousand attributes; through
 * libuv's pool each costs three round trips of the main thread. Here everything that is asked for in
 * the same turn goes to a worker thread as one message, and is read there with plain calls. A path
 * that hangs is found by its place in the list: it alone fails, its worker is left behind and counted,
 * and a new worker goes on with the rest.
 */
import { Worker } from "node:worker_threads";
import { MeshStorError } from "../base/errors.ts";
import { stranded } from "./stranded.ts";

export type ReadKind = "text" | "list" | "link" | "inode" | "numbers";
export type ReadValue = string | string[] | number | number[];

interface Job {
  kind: ReadKind;
  path: string;
  deadlineMs: number;
  resolve(value: ReadValue): void;
  reject(error: Error): void;
}
type Answer = { value: ReadValue } | { code: string; message: string };

/** How often the worker's progress is looked at, in ms. */
const WATCH_MS = 50;

/** Runs in the worker: plain JavaScript, so that it needs no file of its own in the bundle. A sysfs attribute comes whole in one read of less than a page. */
const SOURCE = `
const fs = require("node:fs"), { parentPort, workerData } = require("node:worker_threads");
const place = new Int32Array(workerData), buffer = Buffer.allocUnsafe(65536);
Error.stackTraceLimit = 0;
function text(path) {
  const fd = fs.openSync(path, "r");
  try {
    let all = "";
    for (;;) {
      const n = fs.readSync(fd, buffer, 0, buffer.length, null);
      if (n > 0) all += buffer.latin1Slice(0, n);
      if (n === 0 || (n < 4000 && !path.startsWith("/proc/"))) return Buffer.from(all, "latin1").toString();
    }
  } finally { fs.closeSync(fd); }
}
const READ = { text, list: (p) => fs.readdirSync(p), link: (p) => fs.readlinkSync(p), inode: (p) => fs.lstatSync(p).ino,
  numbers: (p) => { const s = fs.statSync(p); return [s.dev, s.rdev, s.isBlockDevice() ? 1 : 0]; } };
parentPort.on("message", (jobs) => {
  const answers = jobs.map(([kind, path], i) => {
    Atomics.store(place, 0, i);
    try { return { value: READ[kind](path) }; } catch (e) { return { code: e.code, message: e.message }; }
  });
  parentPort.postMessage(answers);
});`;

/** One worker and what it is reading. */
class Crew {
  readonly #worker: Worker;
  readonly #place = new Int32Array(new SharedArrayBuffer(4));

  constructor(done: (answers: Answer[]) => void) {
    this.#worker = new Worker(SOURCE, { eval: true, workerData: this.#place.buffer, execArgv: [] });
    this.#worker.on("message", done);
    this.#worker.unref();
  }
  start(jobs: readonly Job[]): void {
    Atomics.store(this.#place, 0, 0);
    this.#worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    this.#worker.postMessage(jobs.map((job) => [job.kind, job.path]));
  }
  rest(): void {
    this.#worker.unref();
  }
  get place(): number {
    return Atomics.load(this.#place, 0);
  }
  /** For a worker that is left behind: called when it is through its list after all; the worker then ends. */
  leave(done: () => void): void {
    this.#worker.removeAllListeners("message");
    this.#worker.once("message", () => {
      done();
      void this.#worker.terminate();
    });
    this.#worker.unref();
  }
}

/** The reader; one for the whole process ({@link reader}). */
export class Reader {
  #queue: Job[] = [];
  #running: Job[] | null = null;
  #crew: Crew | null = null;
  readonly #stuck = new Set<string>();

  /** Reads one thing. Rejects with the system's error (`code` as node:fs has it), or CommandTimedOut. */
  read(kind: ReadKind, path: string, deadlineMs: number): Promise<ReadValue> {
    if (this.#stuck.has(path)) return Promise.reject(new MeshStorError("CommandTimedOut", `an earlier access to ${path} has not ended`));
    return new Promise((resolve, reject) => {
      if (this.#queue.length === 0) setImmediate(() => this.#next());
      this.#queue.push({ kind, path, deadlineMs, resolve, reject });
    });
  }

  #next(): void {
    if (this.#running !== null || this.#queue.length === 0) return;
    const jobs = this.#queue;
    this.#queue = [];
    this.#running = jobs;
    const crew = (this.#crew ??= new Crew((answers) => this.#done(crew, answers)));
    crew.start(jobs);
    this.#watch(crew, jobs);
  }

  #done(crew: Crew, answers: Answer[]): void {
    if (this.#crew !== crew || this.#running === null) return;
    const jobs = this.#running;
    this.#running = null;
    crew.rest();
    answers.forEach((answer, index) => settle(jobs[index]!, answer));
    // What these answers ask for in turn joins what was queued meanwhile.
    setImmediate(() => this.#next());
  }

  /** Follows the worker through its list; when it stays at one path beyond that path's deadline, the path is stuck. */
  #watch(crew: Crew, jobs: Job[]): void {
    let place = -1;
    let sinceMs = performance.now();
    const timer = setInterval(() => {
      if (this.#running !== jobs) return clearInterval(timer);
      const now = performance.now();
      if (crew.place !== place) {
        place = crew.place;
        sinceMs = now;
      } else if (now - sinceMs >= jobs[place]!.deadlineMs) {
        clearInterval(timer);
        this.#abandon(crew, jobs, place);
      }
    }, WATCH_MS);
  }

  #abandon(crew: Crew, jobs: Job[], place: number): void {
    const hung = jobs[place]!;
    const same = (job: Job) => job.path === hung.path;
    this.#stuck.add(hung.path);
    const free = stranded.add(`access to ${hung.path}`, "");
    this.#crew = null;
    this.#running = null;
    crew.leave(() => {
      this.#stuck.delete(hung.path);
      free();
    });
    const error = new MeshStorError("CommandTimedOut", `${hung.path} did not answer within ${hung.deadlineMs} ms`);
    for (const job of jobs.filter(same)) job.reject(error);
    this.#queue = [...jobs.filter((job) => !same(job)), ...this.#queue];
    this.#next();
  }
}

function settle(job: Job, answer: Answer): void {
  if ("value" in answer) job.resolve(answer.value);
  else job.reject(Object.assign(new Error(answer.message), { code: answer.code }));
}

export const reader = new Reader();
