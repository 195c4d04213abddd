import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MeshStorError } from "../base/errors.ts";
import { KubeError, type KubeClient } from "./client.ts";
import { EventRecorder, referenceTo, type EventToTell } from "./events.ts";
import type { KubeEvent } from "./resources.ts";
import { keepingLogger } from "./testing/fake-server.ts";

function setUp() {
  const made: KubeEvent[] = [];
  const patches: [string, string | undefined, object][] = [];
  const failures: KubeError[] = [];
  const log = keepingLogger();
  const clock = { now: 0 };
  const fail = (): void => {
    const error = failures.shift();
    if (error) throw error;
  };
  const client = {
    create: async (_type: unknown, event: KubeEvent) => {
      fail();
      made.push(event);
      return event;
    },
    mergePatch: async (_type: unknown, name: string, patch: object, options: { namespace?: string }) => {
      fail();
      patches.push([name, options.namespace, patch]);
    },
  } as unknown as KubeClient;
  const recorder = new EventRecorder({ client, instance: "node-a", log, now: () => clock.now, date: () => new Date(1_700_000_000_000 + clock.now) });
  return { made, patches, failures, log, clock, recorder };
}
const volume = { apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorVolume", metadata: { name: "my-volume", uid: "u-1" } };
const event = (note: string, uid = "u-1"): EventToTell => ({ regarding: { ...referenceTo(volume), uid }, type: "Warning", reason: "MemberLost", action: "Release", note });

describe("events", () => {
  test("one event, complete", async () => {
    const { made, recorder } = setUp();
    recorder.tell(event("node-b does not answer"));
    await recorder.flush();
    const { metadata, ...rest } = made[0]!;
    assert.match(metadata.name, /^my-volume\.[0-9a-f]+$/);
    assert.deepEqual(
      [metadata.namespace, rest],
      [
        "default",
        {
          apiVersion: "events.k8s.io/v1",
          kind: "Event",
          eventTime: "2023-11-14T22:13:20.000000Z",
          reportingController: "io.meshstor.csi.mesh",
          reportingInstance: "node-a",
          action: "Release",
          reason: "MemberLost",
          regarding: { apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorVolume", name: "my-volume", uid: "u-1" },
          note: "node-b does not answer",
          type: "Warning",
        },
      ],
    );
  });

  test("an error of the table: its reason, its sentence, what to do", async () => {
    const { made, recorder } = setUp();
    recorder.tellError(referenceTo(volume), "Stage", new MeshStorError("NoGoodCopy", "node-b holds the last good copy of my-volume and is away"));
    await recorder.flush();
    assert.deepEqual(
      [made[0]!.type, made[0]!.reason, made[0]!.action, made[0]!.note],
      ["Warning", "NoGoodCopy", "Stage", "node-b holds the last good copy of my-volume and is away. Bring back the named node: it holds the last good copy."],
    );
  });

  test("the same again is a series, written at most once a minute, and at the end", async () => {
    const { made, patches, clock, recorder } = setUp();
    for (let second = 0; second <= 125; second += 5) {
      clock.now = second * 1000;
      recorder.tell(event("again"));
    }
    await recorder.flush();
    const { name } = made[0]!.metadata;
    assert.deepEqual(
      [made.length, patches],
      [
        1,
        [
          [name, "default", { series: { count: 13, lastObservedTime: "2023-11-14T22:14:20.000000Z" } }],
          [name, "default", { series: { count: 25, lastObservedTime: "2023-11-14T22:15:20.000000Z" } }],
          [name, "default", { series: { count: 26, lastObservedTime: "2023-11-14T22:15:25.000000Z" } }],
        ],
      ],
    );
  });

  test("after six quiet minutes it is a new event", async () => {
    const { made, clock, recorder } = setUp();
    recorder.tell(event("now"));
    clock.now = 361_000;
    recorder.tell(event("now"));
    await recorder.flush();
    assert.equal(made.length, 2);
    assert.notEqual(made[0]!.metadata.name, made[1]!.metadata.name);
  });

  test("an event that the server has forgotten is made anew", async () => {
    const { made, failures, clock, log, recorder } = setUp();
    recorder.tell(event("now"));
    await recorder.flush();
    failures.push(new KubeError({ status: 404, reason: "NotFound", message: "gone" }));
    clock.now = 61_000;
    recorder.tell(event("now"));
    await recorder.flush();
    recorder.tell(event("now"));
    await recorder.flush();
    assert.deepEqual([made.length, log.lines], [2, []]);
  });

  test("at most ten different things at once about one object, then one a minute; others are not concerned", async () => {
    const { made, clock, log, recorder } = setUp();
    for (let i = 0; i < 30; i += 1) recorder.tell(event(`thing ${i}`));
    recorder.tell(event("other", "u-2"));
    await recorder.flush();
    assert.deepEqual([made.length, log.lines.map(({ msg, fields }) => [msg, fields])], [11, [["events were dropped", { dropped: 20 }]]]);
    clock.now = 60_000;
    recorder.tell(event("later"));
    recorder.tell(event("too soon"));
    await recorder.flush();
    assert.deepEqual(
      made.slice(11).map((each) => each.note),
      ["later"],
    );
  });

  test("a server that refuses stops nothing", async () => {
    const { made, failures, log, recorder } = setUp();
    failures.push(new KubeError({ status: 403, reason: "Forbidden", message: "no" }));
    recorder.tell(event("one"));
    recorder.tell(event("two"));
    await recorder.flush();
    assert.deepEqual([made.map((each) => each.note), log.lines.map((line) => line.msg)], [["two"], ["an event could not be written"]]);
  });

  test("a long note is cut by bytes, at a character", async () => {
    const { made, recorder } = setUp();
    recorder.tell(event("€".repeat(1000)));
    await recorder.flush();
    assert.equal(made[0]!.note, `${"€".repeat(340)} …`);
    assert.ok(Buffer.byteLength(made[0]!.note) <= 1024);
  });
});
