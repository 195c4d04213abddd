import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { armRequest, expectOK, parseAnswer, parseEntries, parseHello, suspendRequest } from "./protocol.ts";

const DEVICE = { uuid: "MESHSTOR-VOLUME-u", name: "meshstor-v", device: "dm-7" };

test("requests are one line of words", () => {
  const connections = [
    { controller: "nvme4", nqn: "nqn.a" },
    { controller: "none", nqn: "none:p" },
  ];
  assert.equal(armRequest({ ...DEVICE, provenAtMs: 12.3456, graceMs: 5000, connections }), "arm\tMESHSTOR-VOLUME-u\tmeshstor-v\tdm-7\t12.346\t5000\tnvme4\tnqn.a\tnone\tnone:p");
  assert.equal(suspendRequest(DEVICE), "suspend\tMESHSTOR-VOLUME-u\tmeshstor-v\tdm-7");
  assert.throws(() => suspendRequest({ ...DEVICE, name: "a\nquit" }), /cannot be told/);
});

test("an answer ends with an empty line", () => {
  assert.deepEqual(["", "ok", "ok\n", "\n", "ok\n\n", "a\nb\n\n"].map(parseAnswer), [null, null, null, [], ["ok"], ["a", "b"]]);
});

test("a guard says its version and pid; anything else is none", () => {
  assert.deepEqual([["guard\tab12\t77"], ["guard\tab12\tx"], ["hi"], []].map(parseHello), [{ version: "ab12", pid: 77 }, null, null, null]);
});

test("an answer that is not ok is an error with what it said", () => {
  expectOK(["ok"], "watch v");
  assert.throws(() => expectOK(["error device dm-7 is not u"], "watch v"), { code: "CommandFailed", message: "the guard does not watch v: error device dm-7 is not u" });
});

test("entries as the guard prints them; a line that is cut is no entry", () => {
  const lines = ["MESHSTOR-VOLUME-x\tmeshstor-x\tdm-7\tsuspending\t1\tNo such device\t16286130\t2000\tnvme1\tnqn.a", "MESHSTOR-VOLUME-y\tmeshstor-y\tdm-8\tarmed", ""];
  const connections = [{ controller: "nvme1", nqn: "nqn.a" }];
  const entry = {
    uuid: "MESHSTOR-VOLUME-x",
    name: "meshstor-x",
    device: "dm-7",
    state: "suspending",
    proven: true,
    failed: "No such device",
    provenAtMs: 16286130,
    graceMs: 2000,
    connections,
  };
  assert.deepEqual(parseEntries(lines), [entry]);
  fc.assert(fc.property(fc.array(fc.string()), (any) => void parseEntries(any)));
});
