import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshStorError } from "../base/errors.ts";
import { KubeError } from "../kube/client.ts";
import { awaitIdentity } from "./identity.ts";

const me = { nodeName: "n1", nodeUID: "u", bootID: "b", address: "10.0.0.1", port: 4420 };
const away = () => new KubeError({ status: 0, reason: "Timeout", message: "no answer in time" });

test("a program that begins while the API is away waits for it, and says so once", async () => {
  const said: string[] = [];
  const answers = [away(), new KubeError({ status: 503, reason: "ServiceUnavailable", message: "not yet" }), me];
  const read = async () => {
    const next = answers.shift()!;
    if (next instanceof Error) throw next;
    return next;
  };
  assert.deepEqual(await awaitIdentity(read, { warn: (line) => said.push(line) }, new AbortController().signal, 1), me);
  assert.deepEqual(said, ["the node program waits for the API server to answer"]);
});

test("what an answer refuses, and an end that is asked for, are not waited out", async () => {
  const unfit = new MeshStorError("HostUnsuitable", "node n1 has no InternalIP");
  const silent = { warn: () => {} };
  await assert.rejects(
    awaitIdentity(() => Promise.reject(unfit), silent, new AbortController().signal, 1),
    unfit,
  );
  const stop = new AbortController();
  const waiting = awaitIdentity(() => Promise.reject(away()), silent, stop.signal, 10_000);
  stop.abort(new Error("SIGTERM"));
  await assert.rejects(waiting, /SIGTERM/);
});
