/** The Helm chart, rendered by Helm itself: the same as deploy/ unless something is set. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { ensureHelm } from "../../tools/setup/helm.ts";
import { run } from "../../tools/setup/run.ts";
import { type ManifestObject, manifests, nameOf, objectsOf } from "./manifests.ts";

const CHART = resolve(import.meta.dirname, "../../charts/meshstor");
const home = mkdtempSync(join(tmpdir(), "meshstor-helm-"));
after(() => rmSync(home, { recursive: true, force: true }));

async function helm(...args: string[]): Promise<string> {
  const env = Object.fromEntries(["CACHE", "CONFIG", "DATA"].map((what) => [`HELM_${what}_HOME`, home]));
  return run([await ensureHelm(), ...args], { env });
}
const rendered = async (...settings: string[]) => byName(objectsOf(await helm("template", "meshstor", CHART, "--include-crds", ...settings.flatMap((each) => ["--set", each]))));
const byName = (objects: ManifestObject[]) =>
  Object.fromEntries(objects.map((object) => [nameOf(object), object]).toSorted(([a], [b]) => (a! < b! ? -1 : 1))) as Record<string, ManifestObject>;

test("rendered as it is, the chart is deploy/", async () => {
  assert.deepEqual(await rendered(), byName(manifests()));
});

test("what is set appears, and nothing else changes", async () => {
  const objects = await rendered("image=registry.example.com/meshstor:9", "kubeletDir=/var/lib/k0s/kubelet", "controller.replicas=1", "createNamespace=false");
  const text = JSON.stringify(byName(manifests().filter(({ kind }) => kind !== "Namespace")))
    .replaceAll('"meshstor:0.1.0"', '"registry.example.com/meshstor:9"')
    .replaceAll('"/var/lib/kubelet"', '"/var/lib/k0s/kubelet"')
    .replace('"replicas":2', '"replicas":1');
  assert.deepEqual(objects, JSON.parse(text));
});

test("helm lint has nothing to say against it", async () => {
  assert.match(await helm("lint", "--strict", CHART), /1 chart\(s\) linted, 0 chart\(s\) failed/);
});
