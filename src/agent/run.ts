/**
 * THE NODE PROGRAM: start here. Checks the host, then runs the loop over the volumes that concern
 * this node, the CSI Node service, the drive inventory, the heartbeat and the watch for losses.
 */
import { randomUUID } from "node:crypto";
import { NAMESPACE, nodeLeaseName, VOLUME_TOPOLOGY_KEY } from "../api/names.ts";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import type { Health } from "../base/health.ts";
import { growSlowly } from "../base/heap.ts";
import type { Logger } from "../base/log.ts";
import { grownBytes } from "../core/growth.ts";
import type { HostSnapshot } from "../core/observed.ts";
import type { NodePort } from "../csi/node-port.ts";
import type { KubeConfig } from "../kube/config.ts";
import { createKubeClient } from "../kube/client.ts";
import { EventRecorder } from "../kube/events.ts";
import { Informer } from "../kube/informer.ts";
import { LeaseRenewer } from "../kube/lease.ts";
import { DEVICES, VOLUMES } from "../kube/resources.ts";
import type { CsiHost, CsiPortDeps } from "./csi-port.ts";
import { createCsiPort } from "./csi-port.ts";
import { reportHealth } from "./health.ts";
import { awaitIdentity, readIdentity } from "./identity.ts";
import { type GuardPort, watchOverGuard } from "./guard-watch.ts";
import { Inventory } from "./inventory.ts";
import { LossWatch } from "./loss-watch.ts";
import type { Clock, HostPort, StepHook } from "./ports.ts";
import { Reporter } from "./report.ts";
import { Snapshots } from "./snapshots.ts";
import { watchOthers } from "./takeover.ts";
import { concerns, TICK_MS, Volumes } from "./volumes.ts";

/** Volumes that one node can have assembled at once; MD minors and NVMe controllers set the order of magnitude. */
const MAX_VOLUMES = 200;

export interface AgentOptions {
  kubeConfig: KubeConfig;
  nodeName: string;
  bootID: string;
  /** Where `serve` serves. */
  endpoint: string;
  /** Told how the program fares. */
  health: Health;
  log: Logger;
  signal: AbortSignal;
  /** Makes the host's adapter once the node's UID is known (host NQN and host ID derive from it). */
  makeHost(nodeUID: string): HostPort & Omit<CsiHost, "snapshot">;
  guard: GuardPort;
  hook: StepHook;
  /** Serves CSI with the port until the signal aborts. */
  serve(port: NodePort): Promise<void>;
}

/** Runs until the signal aborts. Nothing that serves I/O is touched by its end (section 3). */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { log, signal, nodeName } = options;
  const client = createKubeClient(options.kubeConfig);
  options.health.waits("the node program waits for the API server to answer; what runs goes on running");
  const me = await awaitIdentity(() => readIdentity(client, nodeName, options.bootID), log, signal);
  const host = options.makeHost(me.nodeUID);
  const clock = systemClock();
  let latest: HostSnapshot | null = null;
  const snapshots = new Snapshots(async () => (latest = await host.observe()), clock.nowMs);

  const losses = new LossWatch({ host, log, nowMs: clock.nowMs, latest: () => latest, wakeFor: (lost) => wakeUsers(informer, volumes, snapshots, latest, lost) });
  const reporter = new Reporter({ client, me, clock, events: new EventRecorder({ client, instance: nodeName, log }) });
  const devices = new Informer<MeshStorNodeDevice>({ client, type: DEVICES, onChange: () => {}, log, labelSelector: `meshstor.io/node=${nodeName}` });
  const inventory = new Inventory({ client, host, log, nodeName, snapshot: () => snapshots.get(1_000), cached: (name) => devices.get(name), onChange: () => wakeAll() });
  const others = watchOthers({ client, nodeName, log, nowMs: clock.nowMs, wake: (name) => volumes.wake(name) });
  const volumes = new Volumes(
    {
      client,
      host: losses.toldBy(host),
      snapshots,
      clock,
      hook: options.hook,
      log,
      me,
      takeover: others.takeover,
      liveAt: (controller) => losses.liveAt(controller),
      cached: (name) => informer.get(name),
      tables: () => inventory.tables(),
      tableChanged: (drive) => inventory.changed(drive),
      recorded: (kind, before, after) => reporter.recorded(kind, before, after),
    },
    (reconciler, result) => reporter.report(reconciler, result),
  );
  const onVolume = (name: string, volume: MeshStorVolume | null): void => {
    if (volume === null || concerns(volume, nodeName)) volumes.wake(name);
  };
  const informer = new Informer<MeshStorVolume>({ client, type: VOLUMES, log, onChange: onVolume });
  const wakeAll = () => {
    for (const volume of informer.list()) if (concerns(volume, nodeName)) volumes.wake(volume.metadata.name);
  };
  const lease = new LeaseRenewer({ client, name: nodeLeaseName(nodeName), namespace: NAMESPACE, holder: me.bootID, log });

  devices.start();
  await devices.synced;
  await inventory.refresh();
  informer.start();
  await informer.synced;
  lease.start();
  others.peers.start();
  losses.start(signal);
  watchOverGuard({ guard: options.guard, onGone: () => (snapshots.drop(), wakeAll()), log, signal });
  const tick = setInterval(() => void inventory.refresh(), TICK_MS);
  reportHealth({ health: options.health, endpoint: options.endpoint, volumes: informer, lease });
  growSlowly();
  log.info("node program runs", { node: nodeName, uid: me.nodeUID, boot: me.bootID, address: me.address });
  const find = async (name: string) => facts(informer.get(name) ?? (await client.tryGet(VOLUMES, name)));
  await options.serve(createCsiPort({ volumes, host: { ...host, snapshot: () => snapshots.get(0) }, find, hook: options.hook, info: infoOf(nodeName) }));
  clearInterval(tick);
  await Promise.all([volumes.stop().then(() => reporter.stop()), informer.stop(), devices.stop(), lease.stop(), others.peers.stop()]);
  client.close();
}

function systemClock(): Clock {
  return { nowMs: () => performance.now(), isoNow: () => new Date().toISOString().replace(/\.\d+Z$/, "Z"), newID: () => randomUUID() };
}

/**
 * Wakes the volumes that have members behind one of these controllers, or in one of these arrays. A snapshot from just
 * before the loss would show that all is well, and they would wait for the next tick: it is dropped.
 */
function wakeUsers(informer: Informer<MeshStorVolume>, volumes: Volumes, snapshots: Snapshots, latest: HostSnapshot | null, lost: readonly string[]): void {
  snapshots.drop();
  const connected = (latest?.connections ?? []).filter((c) => lost.includes(c.controller)).map((c) => c.partitionUUID);
  const mirrored = (latest?.mirrors ?? []).filter((m) => lost.includes(m.device)).flatMap((m) => m.members.map((each) => each.partitionUUID));
  const members = new Set<string | null>([...connected, ...mirrored]);
  for (const volume of informer.list()) if ((volume.status?.partitions ?? []).some((p) => members.has(p.partitionUUID))) volumes.wake(volume.metadata.name);
}

/** What NodeGetInfo answers. */
function infoOf(nodeName: string): CsiPortDeps["info"] {
  return { nodeID: nodeName, maxVolumes: MAX_VOLUMES, topology: { [VOLUME_TOPOLOGY_KEY]: nodeName } };
}

/** What a CSI call needs to know of a volume. */
function facts(volume: MeshStorVolume | null): Awaited<ReturnType<CsiPortDeps["find"]>> {
  if (volume === null) return null;
  const degraded = (volume.status?.degraded ?? 0) > 0 ? (volume.status?.message ?? "degraded") : "";
  return { uid: volume.metadata.uid ?? "", spec: volume.spec, degraded, grownBytes: grownBytes(volume), message: volume.status?.message ?? "" };
}
