import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { KubeError, type KubeClient } from "./client.ts";
import { updateStatus, updateStatusResult, WriteInDoubt } from "./update.ts";

const lost = () => new KubeError({ status: 0, reason: "Timeout", message: "no answer in time", ambiguous: true });
const down = () => new KubeError({ status: 0, reason: "Unreachable", message: "connection refused" });

/** What happens to a write that reaches the store. */
type Fate =
  | "ok"
  /** Somebody else wrote first. */
  | "conflict"
  /** Lands, the answer is lost. */
  | "landed"
  /** Never lands, no answer. */
  | "vanished"
  /** No answer; lands just before the next read reaches the store. */
  | "late-1"
  /** No answer; lands just before the next write. */
  | "late-2"
  /** No answer; lands when all is over. */
  | "late"
  /** Was not sent. */
  | "unsent";

/** One volume with compare-and-swap semantics, and requests that are lost or late. */
class Store {
  version = 1;
  status: VolumeStatus;
  exists = true;
  writes = 0;
  readonly fates: Fate[];
  readFailures: number[] = [];
  reads = 0;
  pending: { when: Fate; deliver(): void }[] = [];
  constructor(fates: Fate[], status: VolumeStatus = { epoch: 1 }) {
    this.fates = [...fates];
    this.status = status;
  }
  read(): MeshStorVolume {
    return structuredClone({
      apiVersion: "",
      kind: "MeshStorVolume",
      metadata: { name: "v", resourceVersion: String(this.version) },
      spec: {},
      status: this.status,
    }) as unknown as MeshStorVolume;
  }
  write(over: string, status: VolumeStatus): boolean {
    if (!this.exists || over !== String(this.version)) return false;
    this.status = structuredClone(status);
    this.version += 1;
    return true;
  }
  deliver(when: (fate: Fate) => boolean): void {
    const due = this.pending.filter((request) => when(request.when));
    this.pending = this.pending.filter((request) => !due.includes(request));
    for (const request of due) request.deliver();
  }
  readonly client = {
    get: async () => {
      this.deliver((fate) => fate === "late-1");
      this.reads += 1;
      if (this.readFailures.includes(this.reads)) throw down();
      if (!this.exists) throw new KubeError({ status: 404, reason: "NotFound", message: "no such volume" });
      return this.read();
    },
    replaceStatus: async (_type: unknown, volume: MeshStorVolume) => {
      this.deliver((fate) => fate === "late-2");
      this.writes += 1;
      const fate = this.fates.shift() ?? "ok";
      const over = volume.metadata.resourceVersion!;
      if (fate === "unsent") throw down();
      if (fate === "conflict") this.write(String(this.version), { ...this.status, message: `other ${this.writes}` });
      if (fate === "late" || fate === "late-1" || fate === "late-2") {
        this.pending.push({ when: fate, deliver: () => this.write(over, volume.status!) });
        throw lost();
      }
      if (fate === "vanished") throw lost();
      const took = this.write(over, volume.status!);
      if (fate === "landed") throw lost();
      if (!took) throw new KubeError({ status: 409, reason: "Conflict", message: "changed meanwhile" });
      return this.read();
    },
  } as unknown as KubeClient;
}
const raise = (volume: MeshStorVolume): VolumeStatus => ({ ...volume.status, epoch: (volume.status?.epoch ?? 0) + 1 });

describe("updateStatus", () => {
  test("written at the first attempt", async () => {
    const store = new Store(["ok"]);
    const { volume, outcome } = await updateStatusResult(store.client, "v", raise);
    assert.deepEqual([outcome, volume.status, volume.metadata.resourceVersion, store.writes], ["written", { epoch: 2 }, "2", 1]);
  });

  test("null is no write", async () => {
    const store = new Store([]);
    assert.deepEqual([(await updateStatusResult(store.client, "v", () => null)).outcome, store.writes], ["unchanged", 0]);
  });

  test("after a conflict mutate decides anew, on what is there now", async () => {
    const store = new Store(["conflict", "conflict"]);
    const seen: VolumeStatus[] = [];
    const volume = await updateStatus(store.client, "v", (fresh) => {
      seen.push(fresh.status!);
      return raise(fresh);
    });
    assert.deepEqual(seen, [{ epoch: 1 }, { epoch: 1, message: "other 1" }, { epoch: 1, message: "other 2" }]);
    assert.deepEqual(volume.status, { epoch: 2, message: "other 2" });
  });

  test("conflicts without end are a conflict", async () => {
    const store = new Store(Array<Fate>(9).fill("conflict"));
    await assert.rejects(
      updateStatus(store.client, "v", raise, { attempts: 3 }),
      (error) => error instanceof KubeError && error.isConflict && error.message.includes("in each of 3 attempts"),
    );
    assert.equal(store.writes, 3);
  });

  test("a refusal and an unsent write are not repeated", async () => {
    const store = new Store(["unsent"]);
    await assert.rejects(updateStatus(store.client, "v", raise), (error) => error instanceof KubeError && !error.ambiguous);
    assert.equal(store.writes, 1);
  });

  test("the answer was lost, the write landed: seen by a fresh read", async () => {
    const store = new Store(["landed"]);
    const { volume, outcome } = await updateStatusResult(store.client, "v", raise);
    assert.deepEqual([outcome, volume.status, store.writes], ["landed", { epoch: 2 }, 1]);
  });

  test("the same for a caller who insists on an answer of its own: written again", async () => {
    const store = new Store(["landed"]);
    const { volume, outcome } = await updateStatusResult(store.client, "v", raise, { definite: true });
    assert.deepEqual([outcome, volume.status, store.writes], ["written", { epoch: 3 }, 2]);
  });

  test("a write without a trace is superseded, so that it cannot land later", async () => {
    const store = new Store(["late"]);
    const { volume, outcome } = await updateStatusResult(store.client, "v", raise);
    assert.equal(outcome, "written");
    store.deliver(() => true);
    assert.deepEqual(store.read(), volume);
  });

  test("it lands between our read and our next write: a conflict, then seen", async () => {
    const store = new Store(["late-2"]);
    const { volume, outcome } = await updateStatusResult(store.client, "v", raise);
    assert.deepEqual([outcome, volume.status], ["landed", { epoch: 2 }]);
  });

  test("not wanted any more while it can still land: in doubt, and said so", async () => {
    const store = new Store(["late"]);
    let calls = 0;
    const once = (volume: MeshStorVolume): VolumeStatus | null => ((calls += 1) === 1 ? raise(volume) : null);
    await assert.rejects(updateStatus(store.client, "v", once), (error) => error instanceof WriteInDoubt && error.resourceVersion === "1" && error.sent.epoch === 2);
  });

  test("not wanted any more after somebody else moved on: settled", async () => {
    const store = new Store(["late", "conflict"]);
    const mutate = (volume: MeshStorVolume): VolumeStatus | null => (volume.status?.message ? null : raise(volume));
    const { outcome, volume } = await updateStatusResult(store.client, "v", mutate);
    store.deliver(() => true);
    assert.deepEqual([outcome, volume], ["unchanged", store.read()]);
  });

  test("mutate gives up, or the fresh read fails: in doubt, with the cause", async () => {
    for (const broken of ["mutate", "read"]) {
      const store = new Store(["vanished"]);
      if (broken === "read") store.readFailures = [2];
      let calls = 0;
      const mutate = (volume: MeshStorVolume): VolumeStatus => {
        if ((calls += 1) === 2) throw new Error("given up");
        return raise(volume);
      };
      await assert.rejects(
        updateStatus(store.client, "v", mutate),
        (error) => error instanceof WriteInDoubt && error.cause instanceof Error && /given up|refused/.test(error.message),
      );
    }
  });

  test("the volume is gone: nothing can land any more", async () => {
    const store = new Store(["vanished"]);
    const client = {
      ...store.client,
      replaceStatus: async (...args: Parameters<KubeClient["replaceStatus"]>) => {
        store.exists = false;
        return store.client.replaceStatus(...args);
      },
    } as KubeClient;
    await assert.rejects(updateStatus(client, "v", raise), (error) => error instanceof KubeError && error.isNotFound);
  });

  test("without a doubt the error of mutate or of the read comes as it is", async () => {
    await assert.rejects(
      updateStatus(new Store([]).client, "v", () => {
        throw new RangeError("mine");
      }),
      RangeError,
    );
    const store = new Store([]);
    store.readFailures = [1];
    await assert.rejects(updateStatus(store.client, "v", raise), (error) => error instanceof KubeError && error.status === 0);
  });

  const fates = fc.array(fc.constantFrom<Fate>("ok", "conflict", "landed", "vanished", "late-1", "late-2", "late", "unsent"), { maxLength: 6 });
  test("property: whatever is lost or late, a result stands for good and doubt is never hidden", async () => {
    await fc.assert(
      fc.asyncProperty(fates, fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }), fc.boolean(), async (plan, readFailures, definite) => {
        const store = new Store(plan);
        store.readFailures = readFailures;
        let result: MeshStorVolume | null = null;
        let doubt = false;
        try {
          result = await updateStatus(store.client, "v", raise, { attempts: 4, definite, sleep: async () => {} });
        } catch (error) {
          doubt = error instanceof WriteInDoubt;
          if (!doubt) assert.ok(error instanceof KubeError, String(error));
        }
        const before = store.read();
        if (result !== null) assert.deepEqual(before, result);
        store.deliver(() => true);
        // A late request changes something only if that was announced.
        if (!doubt) assert.deepEqual(store.read(), before);
      }),
      { numRuns: 3000 },
    );
  });
});
