/** Two control planes side by side on loopback: `tools/node --test lab/control-plane/control-plane.test.ts`. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { ensureControlPlanePrograms } from "../../tools/setup/kubernetes.ts";
import { run } from "../../tools/setup/run.ts";
import { ControlPlane } from "./control-plane.ts";
import { freePort } from "./free-port.ts";
import { applyYaml, ensureNode, untilEstablished } from "./objects.ts";

const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const schema = {
  type: "object",
  properties: {
    spec: { type: "object", properties: { size: { type: "integer" } } },
    status: { type: "object", properties: { conditions: { type: "array", nullable: true, items: anything } } },
  },
};
const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "things.test.example" },
  spec: {
    group: "test.example",
    scope: "Cluster",
    names: { kind: "Thing", plural: "things" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
  },
};
const thing = { apiVersion: "test.example/v1", kind: "Thing", metadata: { name: "one" }, spec: { size: 1 } };
const account = "system:serviceaccount:meshstor:node";

function residentMiB(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
}

describe("control plane", () => {
  const folder = mkdtempSync(join(tmpdir(), "meshstor-control-plane-"));
  const planes: ControlPlane[] = [];
  let first: ControlPlane;
  let second: ControlPlane;

  /** Does a step and prints how long it took. */
  async function timed<T>(what: string, step: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await step();
    console.log(`# ${what}: ${Math.round(performance.now() - start)} ms`);
    return result;
  }

  async function startOne(name: string, addresses: string[]): Promise<ControlPlane> {
    const plane = await ControlPlane.start({ dir: join(folder, name), addresses, port: await freePort(), dieWithStarter: true });
    planes.push(plane);
    return plane;
  }

  before(async () => {
    await ensureControlPlanePrograms();
    first = await timed("one control plane from nothing to ready", () => startOne("first", ["127.0.0.1"]));
    second = await timed("a second one beside it, on IPv6 and IPv4", () => startOne("second", ["::1", "127.0.0.1"]));
    for (const [part, pid] of Object.entries(first.pids())) console.log(`# RSS of ${part}: ${residentMiB(pid)} MiB`);
  });

  after(async () => {
    for (const plane of planes) await plane.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("two of them do not meet", async () => {
    await applyYaml(first, [definition]);
    await applyYaml(first, [thing]);
    assert.equal((await first.kubectl(["get", "thing", "one", "-o", "jsonpath={.spec.size}"])).stdout, "1");
    const elsewhere = await second.kubectl(["get", "thing", "one"], { mayFail: true });
    assert.match(elsewhere.stderr, /doesn't have a resource type "thing"/);
  });

  test("a manifest can be YAML text, and what the schema refuses is an error", async () => {
    await applyYaml(first, "apiVersion: test.example/v1\nkind: Thing\nmetadata: {name: two}\nspec: {size: 2}\n");
    const bad = { ...thing, spec: { size: "big" } };
    await assert.rejects(applyYaml(first, [bad]), /spec\.size/);
  });

  test("a definition whose conditions are null, as one that was just made, is waited for", async () => {
    await applyYaml(first, [{ ...thing, metadata: { name: "young" }, status: { conditions: null } }]);
    const refused = await first.kubectl(["wait", "--for=condition=Established", "thing/young"], { mayFail: true });
    assert.match(refused.stderr, /accessor error/, "kubectl has learnt to wait: untilEstablished can ask it once");
    const established = untilEstablished(first, ["thing/young"]);
    await sleep(500);
    const conditions = [{ type: "Established", status: "True" }];
    await first.kubectl(["patch", "thing", "young", "--type=merge", `--patch=${JSON.stringify({ status: { conditions } })}`]);
    await established;
    await assert.rejects(untilEstablished(first, ["thing/nobody"]), /"nobody" not found/);
  });

  test("a write on an old version is refused (compare and swap)", async () => {
    const old = (await first.kubectl(["get", "thing", "one", "-o", "json"])).stdout;
    await first.kubectl(["patch", "thing", "one", "--type=merge", '--patch={"spec":{"size":7}}']);
    const stale = await first.kubectl(["replace", "-f", "-"], { stdin: old, mayFail: true });
    assert.equal(stale.code, 1);
    assert.match(stale.stderr, /the object has been modified/);
    const now = (await first.kubectl(["get", "thing", "one", "-o", "json"])).stdout;
    await first.kubectl(["replace", "-f", "-"], { stdin: now });
  });

  test("identities are who they say, and RBAC decides what they may", async () => {
    const token = await first.kubeconfigFor(account);
    const certificate = await first.kubeconfigFor("system:node:a", ["system:nodes"]);
    const who = async (kubeconfig: string): Promise<string> =>
      (await first.kubectl([`--kubeconfig=${kubeconfig}`, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])).stdout;
    assert.equal(await who(token), account);
    assert.equal(await who(certificate), "system:node:a");
    const refused = await first.kubectl([`--kubeconfig=${token}`, "get", "things"], { mayFail: true });
    assert.match(refused.stderr, /Forbidden/);
  });

  test("the server's certificate is checked, over IPv4 and IPv6", async () => {
    const files = [await second.kubeconfigFor(account, [], "::1"), await second.kubeconfigFor(account, [], "127.0.0.1")];
    for (const file of files) await second.kubectl([`--kubeconfig=${file}`, "get", "--raw", "/version"]);
    const stranger = await first.kubectl([`--server=${second.url()}`, "get", "--raw", "/version"], { mayFail: true });
    assert.match(stranger.stderr, /certificate signed by unknown authority/);
  });

  test("a node has its addresses and keeps its uid", async () => {
    const node = { name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], annotations: { "example/a": "b" } };
    const uid = await ensureNode(first, node);
    assert.match(uid, /^[0-9a-f-]{36}$/);
    assert.equal(await ensureNode(first, node), uid);
    const path = "jsonpath={.status.addresses[?(@.type=='InternalIP')].address}";
    assert.equal((await first.kubectl(["get", "node", "node-1", "-o", path])).stdout, node.addresses.join(" "));
  });

  test("a frozen API server does not answer and goes on afterwards", async () => {
    first.pause(["apiserver"]);
    const hung = await first.kubectl(["--request-timeout=1s", "get", "things"], { mayFail: true });
    assert.notEqual(hung.code, 0);
    first.resume();
    await first.kubectl(["get", "things"]);
  });

  test("killed, it starts again on the same data, and identities stay valid", async () => {
    const token = await first.kubeconfigFor(account);
    await timed("kill", () => first.kill());
    assert.deepEqual(first.pids(), {});
    const down = await first.kubectl(["--request-timeout=1s", "get", "things"], { mayFail: true });
    assert.match(down.stderr, /refused/);
    await timed("start on the same data", () => first.start());
    assert.equal((await first.kubectl(["get", "thing", "one", "-o", "jsonpath={.spec.size}"])).stdout, "7");
    await first.kubectl([`--kubeconfig=${token}`, "auth", "whoami"]);
  });

  test("another program can take over, and a second start in its folder is refused", async () => {
    const again = await ControlPlane.attach(first.dir);
    assert.deepEqual(again.pids(), first.pids());
    await assert.rejects(ControlPlane.start({ dir: first.dir, addresses: ["127.0.0.1"] }), /runs in .* already/);
    await again.kill(["apiserver"]);
    assert.deepEqual(Object.keys(first.pids()), ["etcd"]);
    await timed("start of the API server alone", () => again.start());
    await again.kubectl(["get", "things"]);
  });

  test("inside a network namespace it is reached from there and not from here", async () => {
    const name = `meshstor-test-${process.pid}`;
    await run(["ip", "netns", "add", name]);
    try {
      const inside = ["ip", "netns", "exec", name];
      for (const command of ["link set lo up", "addr add 192.0.2.7/32 dev lo", "addr add 2001:db8::7/128 dev lo nodad"]) {
        await run([...inside, "ip", ...command.split(" ")]);
      }
      const options = { addresses: ["192.0.2.7", "2001:db8::7"], runPrefix: inside, dieWithStarter: true };
      const plane = await ControlPlane.start({ dir: join(folder, "inside"), ...options });
      planes.push(plane);
      await plane.kubectl([`--server=${plane.url("2001:db8::7")}`, "get", "namespaces"]);
      const outside = await first.kubectl([`--server=${plane.url()}`, "--request-timeout=2s", "get", "--raw", "/version"], { mayFail: true });
      assert.notEqual(outside.code, 0);
      await plane.remove();
    } finally {
      await run(["ip", "netns", "delete", name]);
    }
  });

  test("a server that cannot start says why and leaves nothing behind", async () => {
    const dir = join(folder, "third");
    const impossible = { dir, addresses: ["127.0.0.1"], apiserverArguments: ["--no-such-flag"], dieWithStarter: true };
    await assert.rejects(ControlPlane.start({ ...impossible, port: await freePort() }), /unknown flag: --no-such-flag/);
    assert.deepEqual((await ControlPlane.attach(dir)).pids(), {});
  });

  test("remove leaves no process and no file", async () => {
    const pids = Object.values(second.pids());
    assert.equal(pids.length, 2);
    await second.remove();
    assert.deepEqual(second.pids(), {});
    await assert.rejects(ControlPlane.attach(second.dir), /no control plane/);
  });
});
