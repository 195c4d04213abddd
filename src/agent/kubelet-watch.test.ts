import assert from "node:assert/strict";
import { test } from "node:test";
import type { VolumeView } from "../core/view.ts";
import type { Lease, Pod } from "../kube/resources.ts";
import { KubeletWatch, podOf } from "./kubelet-watch.ts";

const POD = "11111111-2222-4333-8444-555555555555";
const STAGING = "/var/lib/kubelet/plugins/kubernetes.io/csi/io.meshstor.csi.mesh/abc/globalmount";
const PUBLISHED = `/var/lib/kubelet/pods/${POD}/volumes/kubernetes.io~csi/pvc-1/mount`;

/** A watch on node n1 with a clock of its own; `look` asks once and waits for what that began. */
function watched(targets: string[] = [STAGING, PUBLISHED]) {
  const state = { nowMs: 0, renewTime: "a" as string | null, pods: [] as string[], fails: false, reads: 0, woken: [] as string[] };
  const read = async <T>(value: T): Promise<T> => {
    state.reads += 1;
    if (state.fails) throw new Error("no answer");
    return value;
  };
  const client = {
    tryGet: async () => read(state.renewTime === null ? null : ({ metadata: { name: "n1", uid: "u" }, spec: { renewTime: state.renewTime } } as Lease)),
    list: async () => read({ items: state.pods.map((uid) => ({ metadata: { uid } }) as Pod), resourceVersion: "1" }),
  };
  const log = { info: () => {}, warn: () => {} };
  const watch = new KubeletWatch({ client: client as never, nodeName: "n1", log, nowMs: () => state.nowMs, goneMs: 40_000, wake: (name) => state.woken.push(name) });
  const view = (epoch: number) =>
    ({ name: "pvc-1", mine: true, epoch: 3, status: { handOver: { epoch } }, mounts: targets.map((target) => ({ target })) }) as unknown as VolumeView;
  const ask = async (epoch = 3): Promise<boolean> => {
    watch.unattended(view(epoch));
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
    return watch.unattended(view(epoch));
  };
  /** Asked every 5 s. */
  const during = async (ms: number, each: () => void = () => {}): Promise<boolean[]> => {
    const said: boolean[] = [];
    for (const end = state.nowMs + ms; state.nowMs < end;) {
      state.nowMs += 5_000;
      each();
      said.push(await ask());
    }
    return said;
  };
  return { state, ask, during };
}

test("kubelet's heartbeat stands still and the pod is gone: yes, after 40 s and not before", async () => {
  const { during } = watched();
  assert.deepEqual(await during(50_000), [false, false, false, false, false, false, false, false, true, true]);
});

test("nobody asks: nothing is read", async () => {
  const { state, ask } = watched();
  assert.deepEqual([await ask(2), state.reads], [false, 0]);
});

test("a living kubelet, one without a heartbeat, a pod that is still there, a mount of nobody's pod, an API that does not answer: no", async () => {
  const alive = watched();
  let beat = 0;
  assert.ok(!(await alive.during(100_000, () => (alive.state.renewTime = String((beat += 1))))).includes(true));
  const none = watched();
  none.state.renewTime = null;
  assert.ok(!(await none.during(100_000)).includes(true));
  const used = watched();
  used.state.pods = [POD];
  assert.ok(!(await used.during(100_000)).includes(true));
  assert.ok(!(await watched([STAGING, "/mnt/somewhere"]).during(100_000)).includes(true));
  const silent = watched();
  silent.state.fails = true;
  assert.ok(!(await silent.during(100_000)).includes(true));
});

test("a gap in the looks is no silence; a verdict grows old", async () => {
  const { state, during, ask } = watched();
  await during(30_000);
  state.nowMs += 60_000;
  assert.deepEqual(await during(10_000), [false, false]);
  assert.equal((await during(40_000)).at(-1), true);
  state.fails = true;
  state.nowMs += 20_000;
  assert.equal(await ask(), false);
});

test("the pod of a published path", () => {
  assert.deepEqual([podOf(PUBLISHED), podOf(STAGING), podOf("/mnt/x")], [POD, null, null]);
  const devices = "/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices";
  assert.deepEqual(
    [`publish/pvc-1/${POD}`, `pvc-1/dev/${POD}`, "staging/pvc-1/device"].map((path) => podOf(`${devices}/${path}`)),
    [POD, POD, null],
  );
});
