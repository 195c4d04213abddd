import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { ObjectMeta } from "../api/volume.ts";
import { createKubeClient, type KubeClient, type ResourceType } from "./client.ts";
import { Informer, type InformerClock, type InformerOptions } from "./informer.ts";
import { answer, FakeServer, keepingLogger, type Play, refuse, until, watchLines } from "./testing/fake-server.ts";

interface Thing {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  x?: number;
}
const THINGS: ResourceType<Thing> = { group: "g", version: "v1", plural: "things", kind: "Thing", namespaced: false };
const thing = (name: string, resourceVersion: string, uid = `uid-${name}`): Thing => ({ apiVersion: "g/v1", kind: "Thing", metadata: { name, uid, resourceVersion } });
const listOf = (resourceVersion: string, ...items: Thing[]) => answer(200, { metadata: { resourceVersion }, items });
const event = (type: string, object: object) => ({ type, object });
const bookmark = (resourceVersion: string) => event("BOOKMARK", { metadata: { resourceVersion } });
const expired = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } };

/** A clock that stands still but for the informer's own waits, which end at once and are kept; chance gives the longest. */
function stillClock(): InformerClock & { waits: number[]; pass(ms: number): void } {
  let now = 0;
  const waits: number[] = [];
  const pass = (ms: number): void => void (now += ms);
  const sleep = async (ms: number): Promise<void> => {
    waits.push(ms);
    pass(ms);
  };
  return { waits, pass, sleep, nowMs: () => now, random: () => 1 };
}

let clock: ReturnType<typeof stillClock>;
let server: FakeServer;
let client: KubeClient;
let log: ReturnType<typeof keepingLogger>;
let changes: [string, string | null][];
let informer: Informer<Thing>;

function begin(options: Partial<InformerOptions<Thing>> = {}): void {
  const onChange = (name: string, object: Thing | null): void => void changes.push([name, object?.metadata.resourceVersion ?? null]);
  informer = new Informer({ client, type: THINGS, onChange, log, clock, ...options });
  informer.start();
}
/** Ends a watch in order after this time. */
const endsAfter = (ms: number) => (response: import("node:http").ServerResponse) => {
  clock.pass(ms);
  response.end();
};
/** The requests so far: `list`, or `watch` with the resource version. */
const trail = () => server.requests.map(({ query }) => (query.watch ? `watch ${query.resourceVersion}` : "list"));

beforeEach(async () => {
  server = await FakeServer.start();
  server.fallback = (response, request, socket) => (request.query.watch ? watchLines([])(response, request, socket) : listOf("1")(response, request, socket));
  client = createKubeClient({ server: server.url });
  clock = stillClock();
  log = keepingLogger();
  changes = [];
});
afterEach(async () => {
  await informer.stop();
  client.close();
  await server.stop();
});

describe("in good order", () => {
  test("list, then watch with bookmarks from there", async () => {
    server.script.push(
      listOf("5", thing("a", "3"), thing("b", "4")),
      watchLines([event("ADDED", thing("c", "6")), event("MODIFIED", thing("a", "7")), event("DELETED", thing("b", "8"))]),
    );
    begin();
    await informer.synced;
    await until("three events", () => changes.length === 5);
    assert.deepEqual(changes, [
      ["a", "3"],
      ["b", "4"],
      ["c", "6"],
      ["a", "7"],
      ["b", null],
    ]);
    assert.deepEqual(informer.list(), [thing("a", "7"), thing("c", "6")]);
    assert.deepEqual([informer.get("a"), informer.get("b")], [thing("a", "7"), undefined]);
    clock.pass(7);
    assert.equal(informer.ageMs(), 7);
    const { timeoutSeconds, ...query } = server.requests[1]!.query;
    assert.deepEqual(query, { watch: "1", allowWatchBookmarks: "true", resourceVersion: "5" });
    assert.deepEqual([timeoutSeconds, log.lines], ["45", []]);
  });

  test("at rest: one list, one watch, nothing else", async () => {
    server.script.push(listOf("5"), watchLines([]));
    begin();
    await informer.synced;
    await new Promise((done) => setTimeout(done, 400));
    assert.deepEqual(trail(), ["list", "watch 5"]);
  });

  test("an orderly end continues from the last event or bookmark, without a list and without a wait", async () => {
    server.script.push(listOf("5"), watchLines([event("ADDED", thing("a", "6")), bookmark("9")], endsAfter(44_900)), watchLines([]));
    begin();
    await until("a second watch", () => server.requests.length === 3);
    assert.deepEqual([trail(), clock.waits], [["list", "watch 5", "watch 9"], []]);
  });

  test("an orderly end before its time (the server shuts down) is followed by a list", async () => {
    server.script.push(listOf("5"), watchLines([bookmark("9")], endsAfter(30_000)), listOf("7"), watchLines([]));
    begin();
    await until("a second watch", () => server.requests.length === 4);
    assert.deepEqual([trail(), clock.waits, log.lines], [["list", "watch 5", "list", "watch 7"], [300], []]);
  });

  test("a server that ends every watch at once is not asked in a hot loop", async () => {
    server.fallback = (response, request, socket) => (request.query.watch ? watchLines([], (open) => open.end()) : listOf("1"))(response, request, socket);
    server.script.push(listOf("5"));
    begin();
    await until("many attempts", () => clock.waits.length >= 10);
    // Before its time: each is spread, and from the second one on waited for longer and longer.
    assert.deepEqual(clock.waits.slice(0, 10), [300, 300, 500, 300, 1000, 300, 2000, 300, 4000, 300]);
  });

  test("an object split into many chunks", async () => {
    const line = JSON.stringify(event("ADDED", { ...thing("a", "6"), text: "äöü€😀" }));
    const bytes = Buffer.from(`${line}\n`);
    const drip = (response: import("node:http").ServerResponse): void => {
      let at = 0;
      const timer = setInterval(() => (at < bytes.length ? response.write(bytes.subarray(at, (at += 7))) : clearInterval(timer)), 1);
    };
    server.script.push(listOf("5"), watchLines([], drip));
    begin();
    await until("the object", () => changes.length === 1);
    assert.deepEqual(informer.get("a"), { ...thing("a", "6"), text: "äöü€😀" });
  });

  test("stop ends the watch and says nothing more; synced rejects if it never was", async () => {
    server.script.push((): void => {});
    begin();
    await until("the list request", () => server.requests.length === 1);
    await informer.stop();
    await assert.rejects(informer.synced, /stopped/);
    assert.deepEqual([changes, informer.ageMs()], [[], Infinity]);
  });
});

/** Every watch gets this answer; the first list is empty, the later ones have an object. */
function answersByKind(watch: Play): void {
  const lists = [listOf("5")];
  server.fallback = (response, request, socket) => (request.query.watch ? watch : (lists.shift() ?? listOf("6", thing("a", "6"))))(response, request, socket);
}

describe("in trouble", () => {
  test("410 lists again at once, even after a long outage, and reports what changed meanwhile", async () => {
    server.script.push(listOf("5", thing("a", "3"), thing("b", "4")), watchLines([], endsAfter(45_000)), refuse(410, "Expired"));
    server.script.push(listOf("20", thing("a", "15"), thing("b", "4", "uid-new"), thing("c", "16")), watchLines([]));
    begin();
    await until("a new list", () => changes.length === 6);
    assert.deepEqual(clock.waits, []);
    assert.deepEqual(changes, [
      ["a", "3"],
      ["b", "4"],
      ["a", "15"],
      ["b", null],
      ["b", "4"],
      ["c", "16"],
    ]);
    await until("the next watch", () => server.requests.length === 5);
    assert.deepEqual(trail(), ["list", "watch 5", "watch 5", "list", "watch 20"]);
  });

  test("410 as an event within the watch", async () => {
    server.script.push(listOf("5", thing("a", "3")), watchLines([expired]), listOf("9"), watchLines([]));
    begin();
    await until("a watch from the new list", () => trail().includes("watch 9"));
    assert.deepEqual(changes, [
      ["a", "3"],
      ["a", null],
    ]);
  });

  test("a reset connection: a new list (a watch could be one from the future)", async () => {
    server.script.push(listOf("5"), watchLines([event("ADDED", thing("a", "6"))]));
    begin();
    await until("the event", () => changes.length === 1);
    server.script.push(listOf("7", thing("a", "6"), thing("b", "7")), watchLines([]));
    server.resetAll();
    await until("the object made meanwhile", () => changes.length === 2);
    assert.deepEqual(changes, [
      ["a", "6"],
      ["b", "7"],
    ]);
    await until("a new watch", () => trail().includes("watch 7"));
  });

  test("a half-open connection: silence beyond its time", async () => {
    answersByKind(watchLines([]));
    begin({ idleMs: 150 });
    await until("the object", () => changes.length === 1);
    assert.ok(
      log.lines.some((line) => String(line.fields.error).includes("silent for too long")),
      JSON.stringify(log.lines),
    );
  });

  test("a server that never answers the watch", async () => {
    answersByKind(() => {});
    begin({ idleMs: 150 });
    await until("the object", () => changes.length === 1);
  });

  for (const garbage of [
    "this is no JSON",
    "null",
    '{"type":"ADDED"}',
    '{"type":"ADDED","object":{"metadata":{}}}',
    '{"type":"NEWS","object":{"metadata":{"name":"a","resourceVersion":"1"}}}',
    '{"type":"ADDED","object":',
  ]) {
    test(`a garbage line: ${garbage}`, async () => {
      server.script.push(listOf("5"), watchLines([garbage]), listOf("6", thing("a", "6")), watchLines([]));
      begin();
      await until("the object", () => changes.length === 1);
      assert.deepEqual(trail().slice(0, 3), ["list", "watch 5", "list"]);
      assert.equal(log.lines.length, 1);
    });
  }

  test("a list that is garbage, and one that is refused", async () => {
    server.script.push((response) => void response.end("{"), refuse(403, "Forbidden"), listOf("5", thing("a", "3")), watchLines([]));
    begin();
    await informer.synced;
    assert.deepEqual(changes, [["a", "3"]]);
  });

  test("Retry-After is obeyed", async () => {
    server.script.push(refuse(429, "TooManyRequests", { "retry-after": "1" }), listOf("5"), watchLines([]));
    begin();
    await informer.synced;
    assert.deepEqual(clock.waits, [1000]);
  });

  test("the back-off grows, is capped, and begins anew after a 200", async () => {
    const gone = await FakeServer.start();
    const { url } = gone;
    await gone.stop();
    const down = createKubeClient({ server: url });
    let attempts = 0;
    const list: KubeClient["list"] = (...args) => ((attempts += 1) <= 7 ? down.list(...args) : client.list(...args));
    const breaksAfter2s = (response: import("node:http").ServerResponse): void => {
      clock.pass(2000);
      response.write("garbage\n");
    };
    server.script.push(listOf("5"), watchLines([], breaksAfter2s));
    begin({ client: { list, watch: client.watch.bind(client) } });
    await until("a watch after the garbage", () => server.requests.length === 4);
    assert.deepEqual(clock.waits, [250, 500, 1000, 2000, 4000, 5000, 5000, 250]);
    assert.equal(log.lines.length, 2, "the same failure is said once");
  });

  test("a handler that throws, or rejects, is logged and stops nothing", async () => {
    server.script.push(listOf("5", thing("a", "3"), thing("b", "4"), thing("c", "4")), watchLines([event("ADDED", thing("d", "6"))]));
    const seen: string[] = [];
    const handler = (name: string): void => {
      seen.push(name);
      if (name === "a") throw new Error("handler of a");
      // What an async function does where the compiler does not look.
      if (name === "b") return Promise.reject(new Error("handler of b")) as unknown as void;
    };
    begin({ onChange: handler });
    await until("all four", () => seen.length === 4);
    assert.deepEqual(seen, ["a", "b", "c", "d"]);
    assert.deepEqual(
      log.lines.map(({ msg, fields }) => [msg, fields.name, String(fields.error)]),
      [
        ["a handler of changed objects failed", "a", "Error: handler of a"],
        ["a handler of changed objects failed", "b", "Error: handler of b"],
      ],
    );
  });

  test("no connection is left behind by a hundred failures", async () => {
    for (let i = 0; i < 100; i += 1) server.script.push(listOf(String(i + 1)), watchLines(["garbage"]));
    begin();
    await until("a hundred failures", () => server.requests.length > 200);
    await until("their connections are closed", () => server.connections <= 3);
  });
});
