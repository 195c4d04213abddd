import { spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
const R = "/work/wt-pack/";
const { ControlPlane } = await import(R + "lab/control-plane/control-plane.ts");
const { freePort } = await import(R + "lab/control-plane/free-port.ts");
const { writeKubeconfig } = await import(R + "lab/control-plane/kubeconfig.ts");
const { ensureNode, applyYaml } = await import(R + "lab/control-plane/objects.ts");
const { createKubeClient } = await import(R + "src/kube/client.ts");
const { loadKubeConfig } = await import(R + "src/kube/config.ts");
const { LeaseRenewer } = await import(R + "src/kube/lease.ts");
const { nodeLeaseName } = await import(R + "src/api/names.ts");
const { createLogger, silentLogger } = await import(R + "src/base/log.ts");
const { DEVICES } = await import(R + "src/kube/resources.ts");
const { emptyDevice, FakeNodes } = await import(R + "src/controller/fake-nodes.ts");
const { runController } = await import(R + "src/controller/run.ts");
const { manifests, nameOf, DEPLOY, EXAMPLES } = await import(R + "test/deploy/manifests.ts");
const folder = mkdtempSync("/tmp/sidecars-");
console.log(folder);
const plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
const admin = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
await plane.kubectl(["apply", "-f", DEPLOY]);
const leases: any[] = [];
for (const [i, name] of ["a", "b", "c"].entries()) {
  await ensureNode(plane, { name, addresses: [`10.0.0.${i + 1}`], labels: { "topology.io.meshstor.csi.mesh/node": name } });
  await applyYaml(plane, [{ apiVersion: "storage.k8s.io/v1", kind: "CSINode", metadata: { name }, spec: { drivers: [{ name: "io.meshstor.csi.mesh", nodeID: name, topologyKeys: ["topology.io.meshstor.csi.mesh/node"] }] } }]);
  const lease = new LeaseRenewer({ client: admin, name: nodeLeaseName(name), holder: "boot", log: silentLogger }); lease.start(); leases.push(lease);
  for (const id of [`${name}1`, `${name}2`]) { const d = emptyDevice(name, { id }); const made = await admin.create(DEVICES, d); await admin.replaceStatus(DEVICES, { ...made, status: d.status }); }
}
const nodes = new FakeNodes(admin, 50);
const sts = JSON.parse((await plane.kubectl(["get", "sts", "-n", "meshstor", "meshstor-controller", "-o", "json"])).stdout);
const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "meshstor-controller-0", namespace: "meshstor", labels: sts.spec.template.metadata.labels, ownerReferences: [{ apiVersion: "apps/v1", kind: "StatefulSet", name: sts.metadata.name, uid: sts.metadata.uid, controller: true }] }, spec: { ...sts.spec.template.spec, nodeName: "a" } };
await plane.kubectl(["create", "-f", "-"], { stdin: JSON.stringify(pod) });
const token = (await plane.kubectl(["create", "token", "meshstor-controller", "-n", "meshstor", "--bound-object-kind=Pod", "--bound-object-name=meshstor-controller-0"])).stdout.trim();
const kc = join(folder, "sa.kubeconfig");
writeKubeconfig(kc, plane.url(), join(plane.dir, "keys", "ca.crt"), { token });
const sock = join(folder, "csi.sock");
const children: any[] = [];
for (const [name, bin] of [["csi-provisioner", "/tmp/peers-bin/csi-provisioner"], ["csi-resizer", "/tmp/peers-bin/csi-resizer"]] as const) {
  const c = sts.spec.template.spec.containers.find((x: any) => x.name === name);
  const args = c.args.map((a: string) => a.replace("/csi/csi.sock", sock));
  const child = spawn(bin, [...args, `--kubeconfig=${kc}`, "-v=4"], { env: { ...process.env, NAMESPACE: "meshstor", POD_NAME: "meshstor-controller-0" }, stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(folder, `${name}.log`));
  child.stdout.pipe(log); child.stderr.pipe(log);
  child.on("exit", (code) => console.log(name, "exit", code));
  children.push(child);
}
await sleep(3000);
const stop = new AbortController();
const running = runController({ kubeConfig: loadKubeConfig({ path: kc }), endpoint: `unix://${sock}`, elect: true, log: createLogger({ write: (l: string) => require_log(l) }), signal: stop.signal });
function require_log(l: string) { if (/warn|error/.test(l)) console.log("controller:", l.slice(0, 300)); }
await plane.kubectl(["apply", "-f", join(EXAMPLES, "storageclasses.yaml")]);
await plane.kubectl(["apply", "-f", join(EXAMPLES, "volumeattributesclasses.yaml")]);
const pvc = (name: string, sc: string, extra = {}) => ({ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name, namespace: "default", annotations: { "volume.kubernetes.io/storage-provisioner": "io.meshstor.csi.mesh", ...extra } }, spec: { accessModes: ["ReadWriteOnce"], storageClassName: sc, resources: { requests: { storage: "1Gi" } } } });
await plane.kubectl(["create", "-f", "-"], { stdin: JSON.stringify(pvc("one", "mesh-2copy-tcp")) });
await plane.kubectl(["create", "-f", "-"], { stdin: JSON.stringify(pvc("two", "mesh-2copy-local", { "volume.kubernetes.io/selected-node": "b" })) });
for (let i = 0; i < 90; i += 1) {
  const pvs = JSON.parse((await plane.kubectl(["get", "pv", "-o", "json"])).stdout).items;
  if (pvs.length === 2 && i > 10) break;
  await sleep(1000);
}
console.log((await plane.kubectl(["get", "pv,msvol,csistoragecapacities", "-A", "-o", "wide"])).stdout);
console.log((await plane.kubectl(["get", "pv", "-o", "jsonpath={range .items[*]}{.metadata.name} {.spec.nodeAffinity} {.spec.csi}{\"\\n\"}{end}"])).stdout);
console.log((await plane.kubectl(["get", "events", "-A"])).stdout);

{
  const claim = JSON.parse((await plane.kubectl(["get", "pvc", "one", "-o", "json"])).stdout);
  const bound = JSON.parse((await plane.kubectl(["get", "pv", "-o", "json"])).stdout).items.find((p: any) => p.spec.claimRef?.name === "one");
  await plane.kubectl(["patch", "pvc", "one", "--type=merge", "-p", JSON.stringify({ spec: { volumeName: bound.metadata.name } })]);
  await plane.kubectl(["patch", "pv", bound.metadata.name, "--subresource=status", "--type=merge", "-p", JSON.stringify({ status: { phase: "Bound" } })]);
  await plane.kubectl(["patch", "pvc", "one", "--subresource=status", "--type=merge", "-p", JSON.stringify({ status: { phase: "Bound", accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" } } })]);
  await plane.kubectl(["patch", "pvc", "one", "--type=merge", "-p", JSON.stringify({ spec: { resources: { requests: { storage: "2Gi" } } } })]);
  await sleep(10000);
  await plane.kubectl(["patch", "pvc", "one", "--type=merge", "-p", JSON.stringify({ spec: { volumeAttributesClassName: "mesh-3copies" } })]);
  await sleep(15000);
  console.log((await plane.kubectl(["get", "pvc", "one", "-o", "jsonpath={.status}"])).stdout);
  console.log((await plane.kubectl(["get", "msvol", bound.metadata.name, "-o", "jsonpath={.spec}"])).stdout);
  console.log((await plane.kubectl(["get", "pv", bound.metadata.name, "-o", "jsonpath={.spec.capacity}"])).stdout);
  console.log((await plane.kubectl(["get", "events", "-A"])).stdout.split("\n").slice(-8).join("\n"));
}
// bind by hand, then delete the claim's volume
const pv = JSON.parse((await plane.kubectl(["get", "pv", "-o", "json"])).stdout).items[0];
if (pv) {
  await plane.kubectl(["patch", "pv", pv.metadata.name, "--subresource=status", "--type=merge", "-p", JSON.stringify({ status: { phase: "Released" } })]);
  for (let i = 0; i < 30; i += 1) { await sleep(1000); if (!(await plane.kubectl(["get", "pv", pv.metadata.name], { mayFail: true })).stdout) { console.log("pv deleted"); break; } }
}
stop.abort(); await running;
await sleep(3000);
for (const c of children) c.kill("SIGKILL");
await nodes.stop(); for (const l of leases) await l.stop();
admin.close();
await plane.remove();
for (const n of ["csi-provisioner", "csi-resizer"]) { const t = readFileSync(join(folder, `${n}.log`), "utf8"); console.log(n, t.split("\n").length, "lines; forbidden:", [...new Set(t.split("\n").filter((l) => /forbidden|cannot/i.test(l)).map((l) => l.slice(0, 260)))].slice(0, 10)); }
process.exit(0);
