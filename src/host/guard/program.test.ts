/** The guard as the process that it is, on a tree that looks like sysfs: everything but the suspend itself, which needs a kernel of the lab. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { poll } from "../files.ts";
import { monotonicOf } from "./arm.ts";
import { askGuard, watchGuard } from "./client.ts";
import { GUARD_PROGRAM } from "./program.ts";
import type { GuardEntry } from "./protocol.ts";
import { armRequest, parseEntries, parseHello } from "./protocol.ts";
import { ensureGuard, GUARD_VERSION } from "./start.ts";

const root = mkdtempSync(join(tmpdir(), "guard-"));
const socket = `meshstor-test/guard-${process.pid}`;
const put = (path: string, text: string): void => {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), `${text}\n`);
};
after(async () => {
  await askGuard("quit", socket).catch(() => null);
  rmSync(root, { recursive: true, force: true });
});

const UUID = "MESHSTOR-VOLUME-u";
put("class/block/dm-7/dm/uuid", UUID);
put("class/block/dm-7/dm/suspended", "0");
put("class/nvme/nvme1/state", "live");
put("class/nvme/nvme1/subsysnqn", "nqn.a");

const list = async (): Promise<GuardEntry[]> => parseEntries((await askGuard("list", socket)) ?? []);
const arm = async (graceMs: number, nqn = "nqn.a", uuid = UUID): Promise<string[] | null> =>
  askGuard(armRequest({ uuid, name: "meshstor-v", device: "dm-7", provenAtMs: monotonicOf(performance.now()), graceMs, connections: [{ controller: "nvme1", nqn }] }), socket);
const pid = async (): Promise<number> => parseHello((await askGuard("hello", socket)) ?? [])!.pid;
const tried = async (): Promise<boolean | null> => ((await list())[0]?.failed ? true : null);

test("the program is a template's text without escapes", () => {
  assert.doesNotMatch(GUARD_PROGRAM, /undefined|\[object/);
});

test("no guard: nothing answers", async () => {
  assert.equal(await askGuard("hello", socket), null);
});

test("one is started, also by two at once, in a session of its own and with its memory locked", async () => {
  await Promise.all([ensureGuard(socket, root), ensureGuard(socket, root)]);
  await ensureGuard(socket, root);
  const status = readFileSync(`/proc/${await pid()}/status`, "utf8");
  assert.match(status, /^Name:\t@meshstor-guard$/m);
  assert.match(status, /^VmLck:\s+[1-9]/m);
  assert.match(readFileSync(`/proc/${await pid()}/stat`, "utf8"), new RegExp(`^${await pid()} \\(.*\\) [RS] \\d+ ${await pid()} ${await pid()} `), "leads its group and session");
});

test("a volume is armed, changed, and forgotten; a device of another identity is refused", async () => {
  assert.deepEqual(await arm(60_000), ["ok"]);
  assert.deepEqual(await arm(50_000), ["ok"]);
  const [entry] = await list();
  assert.deepEqual([entry?.state, entry?.graceMs, entry?.connections, (await list()).length], ["armed", 50_000, [{ controller: "nvme1", nqn: "nqn.a" }], 1]);
  assert.deepEqual(await arm(60_000, "nqn.a", "MESHSTOR-VOLUME-w"), ["error device dm-7 is not MESHSTOR-VOLUME-w"]);
  assert.deepEqual(await askGuard(armRequest({ ...entry!, connections: [] }), socket), ["ok"]);
  assert.deepEqual(await list(), []);
});

test("live connections prove it again and again; silence for the grace makes it suspend, and not before", async () => {
  await arm(1_500);
  await sleep(2_000);
  assert.equal(await tried(), null, "still proven");
  put("class/nvme/nvme1/state", "connecting");
  const silentAt = monotonicOf(performance.now());
  assert.equal(await poll(10_000, 20, tried), true);
  const [entry] = await list();
  const took = monotonicOf(performance.now()) - silentAt;
  assert.ok(took > 1_000, `suspended after ${took} ms of silence`);
  assert.equal(entry?.failed, "No such device", "there is no device-mapper in a test: the attempt is what is seen");
  put("class/nvme/nvme1/state", "live");
});

test("a controller that has been given to another connection is not live", async () => {
  await arm(300, "nqn.b");
  assert.equal(await poll(10_000, 20, tried), true);
  await arm(60_000);
});

test("a moment that lies in the future proves nothing", async () => {
  const request = armRequest({ uuid: UUID, name: "meshstor-v", device: "dm-7", provenAtMs: 1e15, graceMs: 60_000, connections: [{ controller: "nvme9", nqn: "nqn.z" }] });
  assert.deepEqual(await askGuard(request, socket), ["ok"]);
  assert.ok((await list())[0]!.provenAtMs <= monotonicOf(performance.now()));
});

test("an answer that is longer than a socket holds arrives whole", async () => {
  const many = Array.from({ length: 4_000 }, (_, i) => ({ controller: `nvme${i}`, nqn: `nqn.${"x".repeat(200)}.${i}` }));
  await askGuard(armRequest({ uuid: UUID, name: "meshstor-v", device: "dm-7", provenAtMs: 0, graceMs: 1e9, connections: many }), socket);
  assert.equal((await list())[0]?.connections.length, many.length);
  await arm(60_000);
});

test("signals that end programs do not end it; its death is seen at once, and the next one knows nothing", async () => {
  const first = await pid();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(first, signal);
  await sleep(50);
  assert.equal(await pid(), first);
  const over = new AbortController();
  const gone = new Promise<number>((resolve) => watchGuard(() => resolve(performance.now()), over.signal, socket));
  await sleep(200);
  const killedAt = performance.now();
  process.kill(first, "SIGKILL");
  assert.ok((await gone) - killedAt < 2_000);
  over.abort();
  await ensureGuard(socket, root);
  assert.deepEqual(await list(), []);
});

test("a guard of an earlier version hands its volumes over", async () => {
  await arm(60_000);
  const old = await list();
  await askGuard("quit", socket).catch(() => null);
  await poll(5_000, 20, async () => ((await askGuard("hello", socket).catch(() => [])) === null ? true : null));
  spawn("perl", ["-e", GUARD_PROGRAM, "old", socket, root], { detached: true, stdio: "ignore" }).unref();
  assert.ok(await poll(5_000, 20, () => askGuard("hello", socket).catch(() => null)));
  await arm(60_000);
  await ensureGuard(socket, root);
  assert.equal(parseHello((await askGuard("hello", socket))!)!.version, GUARD_VERSION);
  assert.deepEqual(
    (await list()).map((e) => [e.uuid, e.graceMs, e.connections]),
    old.map((e) => [e.uuid, e.graceMs, e.connections]),
  );
});
