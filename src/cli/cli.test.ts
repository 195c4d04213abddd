/** Arguments, tables, progress and failures; the commands themselves run in cli.contract.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { volumeSpecSchema } from "../api/volume.ts";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { explain } from "../core/explain.ts";
import { mirror, NOW, ownerOf, partition, volume } from "../core/testing/builders.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/client.ts";
import { WriteInDoubt } from "../kube/update.ts";
import { duration, MAX_COPIES, mirrors, replicas } from "./arguments.ts";
import type { Context } from "./context.ts";
import { during } from "./failure.ts";
import { explained, listCommand } from "./show.ts";
import { age, table } from "./table.ts";
import { lineOf, Progress, waitFor } from "./wait.ts";

const said = (work: () => unknown): string => {
  try {
    return String(work());
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
};
/** A context that keeps what is written, and whose clock is moved by hand. */
function keeping(change: { isTerminal?: boolean; columns?: number; client?: Partial<KubeClient> } = {}) {
  const written = { out: "", err: "" };
  const clock = { ms: Date.parse(NOW) };
  const terminal = {
    out: (text: string) => void (written.out += text),
    err: (text: string) => void (written.err += text),
    isTerminal: change.isTerminal ?? false,
    columns: change.columns ?? 80,
  };
  const context: Context = { client: (change.client ?? {}) as KubeClient, terminal: { ...terminal, ask: async () => null }, now: () => clock.ms };
  return { context, written, clock };
}

test("replicas: a whole number that the CRD takes too", () => {
  assert.deepEqual([volumeSpecSchema.shape.numberOfCopies.unwrap().maxValue, replicas("1"), replicas("16")], [MAX_COPIES, 1, 16]);
  for (const text of ["0", "17", "-1", "1.5", "two", "", "1e1", " 2"])
    assert.equal(
      said(() => replicas(text)),
      "a whole number from 1 to 16 is wanted",
    );
});

test("times", () => {
  assert.deepEqual([duration("90s"), duration("30m"), duration("2h"), duration("1h30m"), duration("30d")], [90_000, 1_800_000, 7_200_000, 5_400_000, 2_592_000_000]);
  for (const text of ["", "0s", "2", "h", "-1h", "1.5h", "31d", "2h ", "2 h"])
    assert.match(
      said(() => duration(text)),
      /^a time like 90s/,
    );
});

test("property: any sum of units is read as its sum", () => {
  const parts = fc.array(fc.tuple(fc.integer({ min: 1, max: 59 }), fc.constantFrom(["s", 1], ["m", 60], ["h", 3600])), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(parts, (list) => {
      const text = list.map(([n, [unit]]) => `${n}${unit}`).join("");
      assert.equal(
        duration(text),
        list.reduce((sum, [n, [, seconds]]) => sum + n * seconds * 1000, 0),
      );
    }),
  );
});

test("mirrors gather", () => {
  assert.deepEqual(mirrors("1", mirrors("0")), [0, 1]);
  assert.match(
    said(() => mirrors("a")),
    /index of a mirror/,
  );
});

test("ages as kubectl shows them", () => {
  const s = 1000;
  const [m, h, d] = [60 * s, 3600 * s, 86_400 * s];
  const from = (ms: number) => age(new Date(1e12 - ms).toISOString(), 1e12);
  assert.deepEqual([0, 119 * s, 2 * m, 4 * m + 10 * s, 25 * m, 3 * h, 5 * h + 12 * m, 30 * h, 3 * d + 4 * h, 90 * d, -5 * s].map(from), [
    "0s",
    "119s",
    "2m",
    "4m10s",
    "25m",
    "3h",
    "5h12m",
    "30h",
    "3d4h",
    "90d",
    "0s",
  ]);
  assert.deepEqual([age(undefined, 0), age("never", 0)], ["", ""]);
});

test("a table: columns as wide as their widest cell, nothing at a line's end", () => {
  assert.equal(
    table(
      ["A", "LONG", "C"],
      [
        ["aaa", "b", ""],
        ["", "bb", "cc"],
      ],
    ),
    "A     LONG   C\naaa   b\n      bb     cc\n",
  );
});

const degraded: VolumeStatus = {
  ...{ epoch: 3, owner: ownerOf("a"), nodeName: "a", mdState: "recovering", phase: "Syncing", ready: "1/2", degraded: 1, copies: 1, syncPercentage: "45.2%" },
  ...{ totalDevices: 2, activeDevices: 1, failedDevices: 0, downDevices: 0, message: "the copy on node b is brought up to date" },
  mirrors: [mirror(["a"])],
  partitions: [partition("a"), partition("b", { state: "Syncing" })],
};

test("explain, for people", () => {
  assert.equal(
    explained(explain(volume(degraded)), Date.parse(NOW) + 60_000),
    `volume pvc-1: the copy on node b is brought up to date

CONDITION   STATUS   REASON
Ready       True     InUse
Redundant   False    CopySyncing

NODE   DRIVE        MIRROR   STATE     SINCE   PROGRESS   WAITS FOR
a      SERIALa0:1   0        Synced    60s                nothing
b      SERIALb0:1   0        Syncing   60s     45.2%      node a brings it up to date

node a owns the volume in epoch 3 since ${NOW}, started after a clean stop
`,
  );
});

test("list: the wide view of kubectl, then the sentence; JSON has the same", async () => {
  const items: MeshStorVolume[] = [volume(degraded, {}, { name: "b", creationTimestamp: NOW }), volume({}, {}, { name: "a", creationTimestamp: NOW })];
  const list = (async () => ({ items, resourceVersion: "1" })) as unknown as KubeClient["list"];
  const text = keeping({ client: { list } });
  await listCommand(text.context, "text");
  assert.equal(
    text.written.out,
    `NAME   PHASE     MDSTATE      TOTAL   ACTIVE   FAILED   DOWN   SYNC    AGE   READY   DEGRADED   NODE   SENTENCE
a                                                                      0s                              the controller places volume a
b      Syncing   recovering   2       1        0        0      45.2%   0s    1/2     1          a      the copy on node b is brought up to date
`,
  );
  const json = keeping({ client: { list } });
  await listCommand(json.context, "json");
  assert.deepEqual((JSON.parse(json.written.out) as unknown[])[1], {
    ...{ name: "b", creationTimestamp: NOW, phase: "Syncing", mdState: "recovering", totalDevices: 2, activeDevices: 1, failedDevices: 0, downDevices: 0, syncPercentage: "45.2%" },
    ...{ ready: "1/2", degraded: 1, nodeName: "a", sentence: "the copy on node b is brought up to date" },
    conditions: { Ready: { status: "True", reason: "InUse" }, Redundant: { status: "False", reason: "CopySyncing" } },
  });
});

test("progress: on a terminal one line that is written anew, elsewhere a line for each change, percents not too often", () => {
  const tty = keeping({ isTerminal: true, columns: 10 });
  const line = new Progress(tty.context);
  line.show("short");
  line.show("longer than ten");
  line.end();
  assert.equal(tty.written.out, "\r\u001B[Kshort\r\u001B[Klonger t…\r\u001B[Klonger than ten\n");
  const file = keeping();
  const lines = new Progress(file.context);
  for (const text of ["a 1%", "a 2%", "a 2%", "b 3%"]) lines.show(text);
  file.clock.ms += 10_000;
  lines.show("b 4%");
  lines.end();
  assert.equal(file.written.out, "a 1%\nb 3%\nb 4%\n");
});

test("waiting ends at its deadline with what it waited for; an API server that is away is waited for too", async () => {
  assert.equal(lineOf(volume(degraded)), "volume pvc-1: 1/2 ready recovering 45.2%: the copy on node b is brought up to date");
  const { context, written, clock } = keeping();
  await assert.rejects(
    waitFor(context, "scaling volume v", 1000, async () => ((clock.ms += 2000), { done: false, line: "volume v: 1/2 ready: node b comes back" })),
    (error) => error instanceof MeshStorError && error.code === "Waiting" && error.message.endsWith("goes on without this command: volume v: 1/2 ready: node b comes back"),
  );
  assert.equal(written.out, "volume v: 1/2 ready: node b comes back\n");
  const answers = [() => Promise.reject(new MeshStorError("ApiUnavailable", "refused")), async () => ({ done: true, line: "there" })];
  const again = keeping();
  await waitFor(again.context, "it", 60_000, () => answers.shift()!());
  assert.equal(again.written.out, "the API server does not answer; it is asked again (refused)\nthere\n");
  await assert.rejects(
    waitFor(again.context, "it", 60_000, () => Promise.reject(new MeshStorError("VolumeNotFound", "gone"))),
    /gone/,
  );
});

test("what the API says, as errors of the table", async () => {
  const code = async (thrown: unknown) => {
    try {
      return await during("reading volume v", () => Promise.reject(thrown));
    } catch (error) {
      return error instanceof MeshStorError ? `${error.code}: ${error.message}` : "";
    }
  };
  const kube = (status: number) => new KubeError({ status, reason: "R", message: "m" });
  assert.deepEqual(
    [await code(kube(403)), await code(kube(422)), await code(kube(0)), await code(kube(409)), await code(new MeshStorError("Unsafe", "u"))],
    ["Forbidden: reading volume v: m", "BadArgument: reading volume v: m", "ApiUnavailable: reading volume v: m", "RecordConflict: reading volume v: m", "Unsafe: u"],
  );
  assert.match(await code(new WriteInDoubt("v", { resourceVersion: "1", sent: {} }, "c")), /^ApiUnavailable: .*may or may not have landed/);
});
