/** What may arrive on the socket: the names that clients give the server, clients that go away, and garbage. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, credentials } from "@grpc/grpc-js";

import { silentLogger } from "../base/log.ts";
import { bindService } from "./adapter.ts";
import { Identity } from "./gen/csi_pb.ts";
import { serve, type RunningServer } from "./server.ts";
import { refusalOf, testClient } from "./test-client.ts";

const PROBE = "/csi.v1.Identity/Probe";
/** An empty message: not compressed, no bytes. */
const EMPTY = Buffer.from([0, 0, 0, 0, 0]);
/** What a client says first on HTTP/2, and empty settings. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
/** The least that every test gives a machine with much to do. */
const SOON_MS = 20_000;

let folder = "";
before(async () => void (folder = await mkdtemp(join(tmpdir(), "meshstor-wire-"))));
after(() => rm(folder, { recursive: true, force: true }));

/** A server whose Probe hangs while `hang` is set, until its signal aborts. */
let served: { path: string; stop: AbortController; server: RunningServer; hang: boolean; aborts: string[]; calls: number };
let count = 0;
beforeEach(async () => {
  const path = join(folder, `${(count += 1)}.sock`);
  const stop = new AbortController();
  const probe = async (_: unknown, signal: AbortSignal) => {
    served.calls += 1;
    if (!served.hang) return { ready: true };
    signal.addEventListener("abort", () => served.aborts.push((signal.reason as Error).message));
    return sleep(SOON_MS, { ready: true }, { signal });
  };
  const server = await serve({ endpoint: `unix://${path}`, services: [bindService(Identity, { probe })], log: silentLogger, signal: stop.signal, drainMs: 100 });
  served = { path, stop, server, hang: false, aborts: [], calls: 0 };
});
afterEach(async () => {
  served.stop.abort();
  await served.server.closed;
});

const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** One Probe over HTTP/2 as it is on the wire; answers the statuses of HTTP and gRPC. */
async function rawProbe(session: ClientHttp2Session, headers: Record<string, string>, body: Buffer = EMPTY): Promise<string> {
  const stream = session.request({ ":method": "POST", ":path": PROBE, "content-type": "application/grpc", te: "trailers", ...headers });
  const ended = Promise.withResolvers<string>();
  let [http, grpc] = ["", ""];
  const note = (fields: Record<string, unknown>) => {
    http ||= text(fields[":status"]);
    grpc ||= text(fields["grpc-status"]);
  };
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("error", (error) => ended.resolve(error.message));
  stream.on("close", () => ended.resolve(`${http} ${grpc}`));
  stream.resume();
  stream.end(body);
  return ended.promise;
}

async function withSession<T>(body: (session: ClientHttp2Session) => Promise<T>): Promise<T> {
  const session = connectHttp2("http://unused", { createConnection: () => connect(served.path) });
  session.on("error", () => {});
  try {
    return await body(session);
  } finally {
    session.destroy();
  }
}

/** A well-behaved client is answered: the server is as it was. */
async function answers(): Promise<void> {
  const client = testClient(Identity, served.path);
  served.hang = false;
  assert.equal((await client.call("probe", {}, { deadline: Date.now() + SOON_MS })).ready, true);
  client.close();
}

async function until(what: string, test: () => boolean): Promise<void> {
  for (const end = Date.now() + SOON_MS; !test(); await sleep(5)) if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

test("every name that clients give the server on a unix socket is accepted", async () => {
  const names = {
    "kubelet's calls of CSI, and every client that was given unix:///path or unix:path": "localhost",
    "kubelet's plugin manager, which dials the bare path": encodeURIComponent("/var/lib/kubelet/plugins_registry/io.meshstor.csi.mesh-reg.sock"),
    "clients with a resolver of their own, which take what comes after the scheme": encodeURIComponent(served.path),
    "a bare host": "csi",
  };
  const found = await withSession(async (session) => Promise.all(Object.values(names).map((authority) => rawProbe(session, { ":authority": authority }))));
  assert.deepEqual(
    found,
    Object.values(names).map(() => "200 0"),
  );
});

test("our own client's forms of the address are the same socket", async () => {
  for (const address of [`unix:${served.path}`, `unix://${served.path}`]) {
    const client = new Client(address, credentials.createInsecure());
    await new Promise<void>((resolve, reject) => client.waitForReady(Date.now() + SOON_MS, (error) => (error ? reject(error) : resolve())));
    client.close();
  }
});

test("a client that disconnects in the middle aborts its call, and only its own", async () => {
  served.hang = true;
  const other = testClient(Identity, served.path);
  const slow = other.call("probe", {}, { deadline: Date.now() + SOON_MS });
  await until("the first call arrives", () => served.calls === 1);
  const socket = connect(served.path);
  const session = connectHttp2("http://unused", { createConnection: () => socket });
  session.on("error", () => {});
  void rawProbe(session, {});
  await until("the second call arrives", () => served.calls === 2);
  socket.destroy();
  await until("the call of the client that is gone is aborted", () => served.aborts.length > 0);
  assert.deepEqual(served.aborts, ["Probe was cancelled by the caller"]);
  await answers();
  served.stop.abort();
  assert.match((await refusalOf(slow)).details, /the program stops/);
  other.close();
});

test("a call ends before its deadline, with a sentence", async () => {
  served.hang = true;
  const client = testClient(Identity, served.path);
  assert.deepEqual(await refusalOf(client.call("probe", {}, { deadline: Date.now() + 2_000 })), {
    code: "DEADLINE_EXCEEDED",
    details: "Probe did not end before the caller's deadline. The sentence says what is waited for; the call is safe to repeat.",
  });
  client.close();
  await answers();
});

test("a deadline that has passed, or cannot be read, harms nobody", async () => {
  const found = await withSession(async (session) => {
    const ended: string[] = [];
    for (const timeout of ["0n", "1n", "99999999H", "-1S", "soon", ""]) ended.push(await rawProbe(session, { "grpc-timeout": timeout }));
    return ended;
  });
  assert.deepEqual([found.length, found.filter((each) => !/^200 \d+$|NGHTTP2/.test(each))], [6, []]);
  await answers();
});

/** Sends bytes and waits until the server closes, or for a moment when it waits for more. */
async function send(...parts: readonly Buffer[]): Promise<Socket> {
  const socket = connect(served.path);
  socket.on("error", () => {});
  socket.resume();
  for (const part of parts) socket.write(part);
  await Promise.race([new Promise((resolve) => socket.once("close", resolve)), sleep(50)]);
  return socket;
}

test("garbage on the socket ends that connection at most", async () => {
  const frame = (type: number, flags: number, stream: number, body: Buffer) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(body.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, body]);
  };
  const garbage: Buffer[][] = [
    [randomBytes(65_536)],
    [Buffer.alloc(65_536)],
    [Buffer.from("GET / HTTP/1.1\r\nHost: csi\r\n\r\n")],
    [Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), randomBytes(512)],
    [PREFACE.subarray(0, 10)],
    [PREFACE, randomBytes(4096)],
    [PREFACE, SETTINGS, frame(1, 4, 1, randomBytes(100))],
    [PREFACE, SETTINGS, frame(0, 0, 1, EMPTY)],
    [PREFACE, SETTINGS, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])],
    [PREFACE, SETTINGS, ...Array.from({ length: 200 }, (_, at) => frame(at % 256, at % 7, at % 5, randomBytes(at)))],
    [PREFACE, Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1])],
  ];
  const sockets: Socket[] = [];
  for (const parts of garbage) {
    sockets.push(await send(...parts));
    await answers();
  }
  for (const socket of sockets) socket.destroy();
});

test("a body that is no message is refused, never served", async () => {
  const message = (flag: number, length: number, body: Buffer) => {
    const head = Buffer.alloc(5);
    head.writeUInt8(flag, 0);
    head.writeUInt32BE(length, 1);
    return Buffer.concat([head, body]);
  };
  const bodies = {
    "no message at all": Buffer.alloc(0),
    "a length without its bytes": message(0, 100, Buffer.alloc(3)),
    "a length beyond every limit": message(0, 0xff_ff_ff_ff, Buffer.alloc(64)),
    "said to be compressed, without saying how, and not protobuf": message(1, 4, Buffer.alloc(4, 0xff)),
    "not protobuf": message(0, 8, Buffer.alloc(8, 0xff)),
    "a second message": Buffer.concat([EMPTY, EMPTY]),
  };
  const found: Record<string, string> = {};
  for (const [what, body] of Object.entries(bodies)) found[what] = await withSession((session) => rawProbe(session, {}, body));
  assert.deepEqual(
    Object.entries(found).filter(([, ended]) => ended === "200 0"),
    [],
  );
  assert.equal(served.calls, 0);
  await answers();
});

test("a wrong method, path or content type is refused", async () => {
  const found = await withSession(async (session) => [
    await rawProbe(session, { "content-type": "application/json" }),
    await rawProbe(session, { ":path": "/csi.v1.Identity/Nothing" }),
    await rawProbe(session, { ":path": "/" }),
  ]);
  assert.deepEqual([found, served.calls], [["415 ", "200 12", "200 12"], 0]);
  await answers();
});

test("clients that connect and say nothing keep nobody from being served, nor the server from stopping", async () => {
  const silent = await Promise.all(Array.from({ length: 100 }, () => send()));
  const half = await Promise.all(Array.from({ length: 20 }, () => send(PREFACE, SETTINGS)));
  await answers();
  served.stop.abort();
  await served.server.closed;
  for (const socket of [...silent, ...half]) socket.destroy();
});
