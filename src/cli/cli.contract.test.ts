/** `kubectl meshstor` as a plug-in of kubectl, before a real API server: `tools/node --test src/cli/cli.contract.test.ts`. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { applyYaml, ensureNode } from "../../lab/control-plane/objects.ts";
import { buildCrds } from "../api/crd.ts";
import { NAMESPACE, nodeLeaseName } from "../api/names.ts";
import type { PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { ERRORS, MeshStorError } from "../base/errors.ts";
import { createKubeClient, type KubeClient } from "../kube/client.ts";
import { loadKubeConfig } from "../kube/config.ts";
import { EVENTS, LEASES, NODES, VOLUMES } from "../kube/resources.ts";
import { updateStatus } from "../kube/update.ts";
import type { Context } from "./context.ts";
import { overrideCommand } from "./override.ts";
import { FakeWorld, makeVolume, member, told, uuidOf } from "./testing/fake-world.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "meshstor-cli-"));
const NODE_NAMES = ["n1", "n2", "n3", "n4"];
let plane: ControlPlane;
let kube: KubeClient;
let world: FakeWorld;

interface Ended {
  code: number;
  out: string;
  err: string;
}
function run(file: string, args: readonly string[], kubeconfig = plane.kubeconfigPath): Promise<Ended> {
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH ?? ""}`, KUBECONFIG: kubeconfig, KUBERC: "off" };
  return new Promise((done) => {
    const child = execFile(file, args, { env, cwd: ROOT, timeout: 120_000 }, (error, out, err) => done({ code: error ? Number(error.code ?? 1) : 0, out, err }));
    child.stdin?.end();
  });
}
const meshstor = (...args: string[]) => run(process.execPath, ["--disable-warning=ExperimentalWarning", join(ROOT, "src/cli/main.ts"), ...args]);
const copiesOf = async (name: string) => ((await kube.get(VOLUMES, name)).status?.partitions ?? []).map((p) => p.nodeID).toSorted();
async function eventsOf(name: string): Promise<string[]> {
  const { items } = await kube.list(EVENTS, { namespace: "default" });
  return items.filter((e) => e.regarding.name === name).map((e) => `${e.type} ${e.reason}: ${e.note}`);
}
/** The volume as it is after its last good copy, on n1, went away with its owner: n2's copy left before. */
async function loseGoodCopy(name: string, change: (p: PartitionRecord) => PartitionRecord = (p) => p): Promise<void> {
  world.asleep.add(name);
  const owner = { nodeName: "n1", nodeUID: "uid-n1", bootID: "boot-n1", since: "2026-11-20T10:00:00Z", start: "Clean" as const };
  await updateStatus(kube, name, (volume) => {
    const status: VolumeStatus = {
      ...volume.status,
      owner,
      nodeName: "n1",
      epoch: (volume.status?.epoch ?? 0) + 1,
      mirrors: volume.status!.mirrors!.map((m) => ({ ...m, generation: m.generation + 1, inSync: [uuidOf("n1", m.index)] })),
      partitions: volume.status!.mirrors!.flatMap((m) => [
        member("n1", { mirror: m.index }),
        ...["n2", "n3"].map((node) => change(member(node, { mirror: m.index, state: "Missing", outSince: m.generation + 1, updatedAt: "2026-11-20T10:00:00Z" }))),
      ]),
    };
    return told(volume, status);
  });
}

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
  const crds = buildCrds();
  // Until the schema has it: the field that `move` writes.
  crds[0]!.spec.versions[0]!.schema.openAPIV3Schema.properties!.spec!.properties!.avoidNodes ??= { type: "array", items: { type: "string" } };
  await applyYaml(plane, [...crds, { apiVersion: "v1", kind: "Namespace", metadata: { name: "meshstor" } }]);
  kube = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
  for (const [i, name] of NODE_NAMES.entries()) await ensureNode(plane, { name, addresses: [`10.0.0.${i + 1}`] });
  writeFileSync(join(folder, "kubectl-meshstor"), `#!/bin/sh\nexec "${process.execPath}" --disable-warning=ExperimentalWarning "${join(ROOT, "src/cli/main.ts")}" "$@"\n`, {
    mode: 0o755,
  });
  const kubectl = plane.kubectlCommand([]).find((word) => word.endsWith("/kubectl"));
  symlinkSync(kubectl!, join(folder, "kubectl"));
  world = new FakeWorld(kube);
});
after(async () => {
  await world?.stop();
  kube?.close();
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test("the page's commands, as they stand there", async (t) => {
  await makeVolume(kube, "my-volume", ["n1", "n2"]);
  const page = readFileSync(join(ROOT, "docs/how-to/operate.md"), "utf8");
  const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap((block) => block[1]!.split("\n")).filter((line) => line !== "");
  assert.deepEqual([lines[0], lines.length], ["kubectl meshstor list", 17]);
  for (const line of lines) {
    if (line.includes(" override ")) await loseGoodCopy("my-volume");
    const { code, out, err } = await run("bash", ["-c", line]);
    assert.equal(code, 0, `${line}\n${out}${err}`);
    t.diagnostic(line);
  }
  const { status } = await kube.get(VOLUMES, "my-volume");
  assert.deepEqual([status?.mirrors?.[0]?.inSync, status?.overrides?.length], [[uuidOf("n3")], 1]);
  await kube.remove(VOLUMES, "my-volume");
});

test("scale: waits, says how far it is, and an event keeps who wanted it", async () => {
  await makeVolume(kube, "scaled", ["n1", "n2"]);
  const { code, out, err } = await meshstor("scale", "scaled", "--replicas", "3", "--wait", "--timeout", "60s");
  assert.deepEqual([code, err], [0, ""]);
  const lines = out.trimEnd().split("\n");
  assert.deepEqual(
    [lines[0], lines.at(-1)],
    ["volume scaled: 3 copies are wanted (2 before)", "volume scaled: 3/3 ready stopped: all 3 copies are in sync; nothing is waited for"],
  );
  assert.deepEqual(await copiesOf("scaled"), ["n1", "n2", "n3"]);
  assert.equal((await meshstor("scale", "scaled", "--replicas", "3")).out, "volume scaled: 3 copies are wanted already\n");
  assert.match((await eventsOf("scaled")).join("\n"), /^Normal Scaled: .+ wants 3 copies \(2 before\)$/);
});

test("scale: at the deadline the sentence, and the exit code of a wait", async () => {
  await makeVolume(kube, "slow", ["n1", "n2"]);
  world.asleep.add("slow");
  const { code, err } = await meshstor("scale", "slow", "--replicas", "3", "--wait", "--timeout", "1s");
  assert.equal(code, ERRORS.Waiting.exit);
  assert.match(err, /^kubectl-meshstor: scaling volume slow took longer than 1 s; the wish stands, and goes on without this command: volume slow: 2\/2 ready/);
  assert.equal((await kube.get(VOLUMES, "slow")).spec.numberOfCopies, 3);
});

test("move: a node that holds no copy is refused by name; a concurrent change is not lost", async () => {
  await makeVolume(kube, "moved", ["n1", "n2"]);
  world.asleep.add("moved");
  const wrong = await meshstor("move", "moved", "--from", "n4");
  assert.deepEqual([wrong.code, wrong.err.split("\n")[0]], [2, "kubectl-meshstor: --from: volume moved has no copy on node n4 (its copies are on n1, n2)"]);
  const busy = new AbortController();
  const others = (async () => {
    while (!busy.signal.aborted) {
      await kube.mergePatch(VOLUMES, "moved", { metadata: { annotations: { at: String(Date.now()) } } });
      await sleep(20);
    }
  })();
  const both = await Promise.all([meshstor("move", "moved", "--from", "n1"), meshstor("move", "moved", "--from", "n2")]);
  busy.abort();
  await others;
  assert.deepEqual(
    both.map((ended) => [ended.code, ended.err]),
    [
      [0, ""],
      [0, ""],
    ],
  );
  const { spec } = await kube.get(VOLUMES, "moved");
  assert.deepEqual((spec as { avoidNodes?: string[] }).avoidNodes?.toSorted(), ["n1", "n2"]);
  await meshstor("move", "moved", "--from", "n1", "--undo");
  await meshstor("move", "moved", "--from", "n2", "--undo");
  assert.equal("avoidNodes" in (await kube.get(VOLUMES, "moved")).spec, false);
});

test("empty and maintenance: annotations of the node; both can be taken back", async () => {
  await makeVolume(kube, "alone", ["n4"]);
  const annotations = async () => (await kube.get(NODES, "n4")).metadata.annotations ?? {};
  const begun = Date.now();
  const { out } = await meshstor("maintenance", "n4", "--for", "2h");
  const until = (await annotations())["meshstor.io/maintenance-until"]!;
  assert.ok(Math.abs(Date.parse(until) - begun - 7_200_000) < 60_000, until);
  assert.deepEqual(out.trimEnd().split("\n"), [
    `node n4: no copy on it is replaced until ${until} (1 volume)`,
    "volume alone: its last copy in sync is on node n4; it stands still while the node is away",
  ]);
  assert.equal((await meshstor("maintenance", "n4", "--end")).code, 0);
  const emptied = await meshstor("empty", "n4", "--wait", "--timeout", "60s");
  assert.deepEqual([emptied.code, emptied.err, (await annotations())["meshstor.io/empty"]], [0, "", "true"]);
  assert.equal((await copiesOf("alone")).includes("n4"), false);
  await meshstor("empty", "n4", "--undo");
  assert.deepEqual(
    Object.keys(await annotations()).filter((key) => key.startsWith("meshstor.io/")),
    [],
  );
});

test("bad input: named, with its exit code, and nothing is left behind", async () => {
  await makeVolume(kube, "kept", ["n1", "n2"]);
  world.asleep.add("kept");
  const versionOf = async () => (await kube.get(VOLUMES, "kept")).metadata.resourceVersion;
  const version = await versionOf();
  const cases: [string[], number, RegExp][] = [
    [["explain", "none"], ERRORS.VolumeNotFound.exit, /there is no volume none/],
    [["scale", "none", "--replicas", "2"], ERRORS.VolumeNotFound.exit, /there is no volume none/],
    [["scale", "kept", "--replicas", "0"], 2, /--replicas <n>/],
    [["scale", "kept"], 2, /--replicas <n>/],
    [["move", "kept"], 2, /--from <node>/],
    [["empty", "n9"], ERRORS.NodeNotFound.exit, /there is no node n9/],
    [["maintenance", "n1"], 2, /either --for TIME or --end/],
    [["maintenance", "n1", "--for", "2h", "--end"], 2, /either --for TIME or --end/],
    [["maintenance", "n1", "--for", "soon"], 2, /--for <time>/],
    [["explain", "kept", "--output", "xml"], 2, /--output <format>/],
    [["override", "kept"], 2, /--copy/],
    [["override", "kept", "--copy", "n9"], 2, /no copy on node n9/],
    [["override", "kept", "--copy", "n1"], 2, /no override is needed/],
    [["override", "kept", "--copy", "n1", "--mirror", "x"], 2, /--mirror <index>/],
    [["list", "--context", "nowhere"], ERRORS.HostUnsuitable.exit, /nowhere/],
  ];
  for (const [args, code, words] of cases) {
    const ended = await meshstor(...args);
    assert.equal(ended.code, code, `${args.join(" ")}: ${ended.err}`);
    assert.match(ended.err, words);
    assert.equal(ended.out, "");
  }
  assert.equal(await versionOf(), version);
  assert.deepEqual(await eventsOf("kept"), []);
  assert.equal((await kube.get(NODES, "n1")).metadata.annotations?.["meshstor.io/maintenance-until"], undefined);
});

test("explain: JSON has all of it; a node that is silent is named, one that was never heard of is not", async () => {
  await makeVolume(kube, "told", ["n1", "n2"]);
  const lease = { apiVersion: "coordination.k8s.io/v1" as const, kind: "Lease" as const, metadata: { name: nodeLeaseName("n2"), namespace: NAMESPACE } };
  await kube.create(LEASES, { ...lease, spec: { holderIdentity: "boot", renewTime: new Date(Date.now() - 1_500_000).toISOString().replace("Z", "000Z") } });
  const { code, out } = await meshstor("explain", "told", "--output", "json");
  const { copies, ...rest } = JSON.parse(out) as { copies: { node: string; state: string; inSync: boolean }[] };
  assert.deepEqual(
    [code, rest, copies.map((c) => [c.node, c.state, c.inSync])],
    [
      0,
      {
        volume: "told",
        sentence: "all 2 copies are in sync; nothing is waited for",
        ready: { status: "True", reason: "AtRest" },
        redundant: { status: "True", reason: "InSync" },
        also: ["nobody owns the volume; epoch 1 ended cleanly", "the program of node n2 was last heard of 25m ago"],
      },
      [
        ["n1", "Synced", true],
        ["n2", "Synced", true],
      ],
    ],
  );
  await kube.remove(LEASES, nodeLeaseName("n2"), { namespace: NAMESPACE });
});

test("what the API server does not allow is said as such", async () => {
  const ended = await run(process.execPath, [join(ROOT, "src/cli/main.ts"), "list"], await plane.kubeconfigFor("meshstor:nobody"));
  assert.equal(ended.code, ERRORS.Forbidden.exit);
  assert.match(ended.err, /listing volumes: .*meshstor:nobody/);
});

test("override: nothing without the name, without the owner being off, or from a half-synced copy", async () => {
  await makeVolume(kube, "doomed", ["n1", "n2", "n3"]);
  await loseGoodCopy("doomed", (p) => (p.nodeID === "n2" ? { ...p, half: true } : p));
  const before = (await kube.get(VOLUMES, "doomed")).metadata.resourceVersion;
  const refused: [string[], number, RegExp][] = [
    [["--copy", "n3", "--yes-i-mean", "doomed"], ERRORS.Unsafe.exit, /node n1 owns the volume: it must be off for good; if its machine is off, say so with --owner-is-off/],
    [["--copy", "n2", "--owner-is-off", "--yes-i-mean", "doomed"], ERRORS.Unsafe.exit, /is half-synced; --even-half-synced takes it nevertheless/],
    [["--copy", "n3", "--owner-is-off", "--yes-i-mean", "domed"], ERRORS.NotConfirmed.exit, /"domed" is not the volume's name doomed/],
    [["--copy", "n3", "--owner-is-off"], ERRORS.NotConfirmed.exit, /nobody can be asked here; --yes-i-mean doomed says it/],
  ];
  for (const [args, code, words] of refused) {
    const ended = await meshstor("override", "doomed", ...args);
    assert.equal(ended.code, code, ended.err);
    assert.match(ended.err, words);
  }
  assert.equal((await kube.get(VOLUMES, "doomed")).metadata.resourceVersion, before);
  assert.deepEqual(await eventsOf("doomed"), []);
});

test("override, asked at a terminal: another name typed, or another record when the answer comes, and nothing is written", async () => {
  const asked: string[] = [];
  const told: string[] = [];
  const answering = (answer: () => Promise<string>): Context => ({
    client: kube,
    terminal: { out: (text) => void told.push(text), err: () => {}, isTerminal: true, columns: 80, ask: (question) => (asked.push(question), answer()) },
    now: () => Date.now(),
  });
  const command = (answer: () => Promise<string>) => overrideCommand(answering(answer), "doomed", { copy: "n3", ownerIsOff: true });
  const failed = (code: string, words: RegExp) => (error: unknown) => error instanceof MeshStorError && error.code === code && words.test(error.message);
  await assert.rejects(
    command(async () => "another"),
    failed("NotConfirmed", /"another" is not the volume's name doomed/),
  );
  assert.deepEqual([asked, told.some((text) => text.startsWith("volume doomed, mirror 0: every write since"))], [["Type the volume's name to go on: "], true]);
  // Another node has taken the volume meanwhile: nobody vouched for that one.
  const taken = async () => {
    await updateStatus(kube, "doomed", (v) => ({ ...v.status, epoch: v.status!.epoch! + 1, owner: { ...v.status!.owner!, nodeName: "n4", nodeUID: "uid-n4" } }));
    return "doomed";
  };
  await assert.rejects(command(taken), failed("Unsafe", /the record has changed since you were shown what it would mean: look again/));
  const { status } = await kube.get(VOLUMES, "doomed");
  assert.deepEqual([status?.overrides, status?.owner?.nodeName, await eventsOf("doomed")], [undefined, "n4", []]);
  await loseGoodCopy("doomed");
});

test("override: says what is lost, writes it over a change that was made meanwhile, keeps who decided, and an event says it", async () => {
  const busy = new AbortController();
  const others = (async () => {
    for (let i = 0; !busy.signal.aborted; i += 1) {
      await updateStatus(kube, "doomed", (v) => ({ ...v.status, message: `look ${i}` }), { attempts: 20 }).catch(() => {});
      await sleep(50);
    }
  })();
  const { code, out, err } = await meshstor("override", "doomed", "--copy", "n3", "--owner-is-off", "--yes-i-mean", "doomed", "--by", "jane");
  busy.abort();
  await others;
  assert.deepEqual([code, err], [0, ""]);
  const lost =
    "volume doomed, mirror 0: every write since the copy on node n3 left the volume is lost with the copy on node n1; the chosen copy is whole, as of the moment when it left";
  assert.equal(out.split("\n")[0], lost);
  const { status } = await kube.get(VOLUMES, "doomed");
  const [kept] = status?.overrides ?? [];
  assert.deepEqual(
    [status?.owner, status?.former?.map((f) => [f.nodeName, f.judged]), status?.mirrors?.[0]?.inSync, kept && { ...kept, at: "", by: kept.by.split(" ")[0] }],
    [undefined, [["n1", "OutOfService"]], [uuidOf("n3")], { at: "", by: "jane", mirror: 0, chosen: uuidOf("n3"), givenUp: [uuidOf("n1")], consistent: true }],
  );
  assert.match(kept!.by, /^jane \(signed in as .+\)$/);
  assert.deepEqual(await eventsOf("doomed"), [`Warning Overridden: ${kept!.by} decided: ${lost}`]);
});

test("override of a striped volume: every mirror that needs it, in one change", async () => {
  await makeVolume(kube, "striped", ["n1", "n2", "n3"], 2);
  await loseGoodCopy("striped");
  const { code, err } = await meshstor("override", "striped", "--copy", "n3", "--owner-is-off", "--yes-i-mean", "striped");
  assert.deepEqual([code, err], [0, ""]);
  const { status } = await kube.get(VOLUMES, "striped");
  assert.deepEqual(
    status?.mirrors?.map((m) => m.inSync),
    [[uuidOf("n3", 0)], [uuidOf("n3", 1)]],
  );
  assert.equal((await eventsOf("striped")).length, 1);
});
