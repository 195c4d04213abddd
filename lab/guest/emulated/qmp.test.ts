/** The monitor's client against a server that speaks as QEMU does. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { qmp } from "./qmp.ts";

let dir: string;
let path: string;
let server: Server | undefined;
let orders: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "qmp-"));
  path = join(dir, "s");
  orders = [];
});
afterEach(() => {
  server?.close();
  rmSync(dir, { recursive: true });
});

/** Answers every order with what `answer` says; undefined says nothing. */
async function serve(answer: (order: string) => readonly object[]): Promise<void> {
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write('{"QMP": {"version": {}}}\r\n');
    socket.on("data", (data) => {
      for (const line of data.toString().trim().split("\n")) {
        const { execute } = JSON.parse(line) as { execute: string };
        orders.push(execute);
        const messages = execute === "qmp_capabilities" ? [{ return: {} }] : answer(execute);
        // In two pieces, as a stream may deliver them.
        const text = messages.map((message) => `${JSON.stringify(message)}\r\n`).join("");
        socket.write(text.slice(0, 5));
        setTimeout(() => socket.write(text.slice(5)), 5);
      }
    });
  });
  await new Promise<void>((resolve) => server!.listen(path, resolve));
}

test("orders are given one after the other and their answers returned", async () => {
  await serve((order) => [{ event: "RTC_CHANGE", data: {} }, { return: { order } }]);
  assert.deepEqual(await qmp(path, [{ execute: "stop" }, { execute: "cont" }]), [{ order: "stop" }, { order: "cont" }]);
  assert.deepEqual(orders, ["qmp_capabilities", "stop", "cont"]);
});

test("QEMU's refusal is an error with its words, and ends the conversation", async () => {
  await serve(() => [{ error: { class: "GenericError", desc: "Device 'x' not found" } }]);
  await assert.rejects(qmp(path, [{ execute: "device_del" }, { execute: "cont" }]), /QMP device_del, cont: Device 'x' not found/);
  assert.deepEqual(orders, ["qmp_capabilities", "device_del"]);
});

test("an awaited event counts with its data only, before or after the answer", async () => {
  const gone = { event: "DEVICE_DELETED", data: { device: "drive1", path: "/machine" } };
  const until = { event: "DEVICE_DELETED", data: { device: "drive1" } };
  await serve(() => [{ event: "DEVICE_DELETED", data: { device: "drive0" } }, { return: {} }, gone]);
  assert.deepEqual(await qmp(path, [{ execute: "device_del" }], { until }), [{}]);
});

test("silence is an error", async () => {
  await serve(() => []);
  await assert.rejects(qmp(path, [{ execute: "stop" }], { timeoutMs: 50 }), /does not answer within 50 ms/);
});

test("an end of the connection is an error", async () => {
  server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server!.listen(path, resolve));
  await assert.rejects(qmp(path, [{ execute: "stop" }]), /closed the connection/);
});
