/** The controller role put together: informers, placement, the loop, and the port that CSI is served from. */
import { NAMESPACE } from "../api/names.ts";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { capacityOf } from "../core/placement/capacity.ts";
import type { ControllerPort } from "../csi/controller-port.ts";
import type { KubeClient } from "../kube/client.ts";
import { EventRecorder } from "../kube/events.ts";
import { Informer } from "../kube/informer.ts";
import { DEVICES, type Lease, LEASES, type Node, NODES, VOLUMES } from "../kube/resources.ts";
import { withApi } from "./api-failure.ts";
import { candidateDrives, candidateNodes, reservationsOf } from "./cluster.ts";
import { createVolume } from "./create-volume.ts";
import { deleteVolume } from "./delete-volume.ts";
import type { ControllerDeps } from "./deps.ts";
import { expandVolume } from "./expand-volume.ts";
import { SafeToReboot } from "./safe-to-reboot.ts";
import { Teller } from "./teller.ts";
import { type HeartbeatClock, Heartbeats } from "./heartbeats.ts";
import { Loop } from "./loop.ts";
import { modifyVolume } from "./modify-volume.ts";
import { Placer } from "./placer.ts";
import { VolumeReconciler } from "./reconcile.ts";
import { Unwell } from "./unwell.ts";
import { listed, summaryOf, wishOf } from "./views.ts";
import { Waiters } from "./waiters.ts";

const EVERY_MS = 30_000;
const RETRY_MS = 2000;
/** Silence of the API after which the leases' ages say nothing; a healthy watch is never silent for so long. */
const GAP_MS = 70_000;

export interface ControllerOptions {
  client: KubeClient;
  log: Logger;
  clock: HeartbeatClock;
  newID: () => string;
}

export interface Controller {
  port: ControllerPort;
  /** True once everything has been read from the API. */
  ready(): boolean;
  /** Resolves then. */
  readonly synced: Promise<void>;
  start(): void;
  /** Also of one that was never started. */
  stop(): Promise<void>;
}

export function createController(options: ControllerOptions): Controller {
  const { client, log, clock } = options;
  const heartbeats = new Heartbeats(clock);
  const waiters = new Waiters(() => clock.nowMs());
  const volumes = new Informer<MeshStorVolume>({ client, type: VOLUMES, log, onChange: (name) => changed(name) });
  const devices = new Informer<MeshStorNodeDevice>({ client, type: DEVICES, log, onChange: () => unwell.wake() });
  const nodes = new Informer<Node>({ client, type: NODES, log, onChange: () => unwell.nodesChanged() });
  const leases = new Informer<Lease>({ client, type: LEASES, namespace: NAMESPACE, log, onChange: (name, lease) => heartbeats.observe(name, lease) });
  const cache: ControllerDeps["cache"] = {
    volume: (name) => volumes.get(name),
    volumes: () => volumes.list(),
    devices: () => devices.list(),
    nodes: () => {
      if (leases.ageMs() > GAP_MS) heartbeats.restart();
      return candidateNodes(nodes.list(), heartbeats);
    },
    nodeNames: () => new Set(nodes.list().map((node) => node.metadata.name)),
    isStale: () => leases.ageMs() > GAP_MS || nodes.ageMs() > GAP_MS,
  };
  const deps: ControllerDeps = { client, log, clock, newID: options.newID, waiters, cache };
  const placer = new Placer(deps);
  const reconciler = new VolumeReconciler(deps, placer);
  const teller = new Teller(new EventRecorder({ client, instance: "controller", log }));
  const loop = new Loop({
    names: () => volumes.list().map((volume) => volume.metadata.name),
    pass: (name, signal) => reconciler.reconcile(name, signal),
    onError: (name, error) => log.warn("volume not advanced; tried again", { volume: name, error: asMeshStorError(error).message }),
    everyMs: EVERY_MS,
    retryMs: RETRY_MS,
  });
  const changed = (name: string) => {
    teller.saw(name, volumes.get(name) ?? null);
    waiters.wake(name);
    if (ready) loop.wake(name);
  };
  const unwell = new Unwell({ volumes: () => volumes.list(), nodes: () => nodes.list(), wake: (name) => loop.wake(name) });
  const safeToReboot = new SafeToReboot({ client, log, clock, cache, nodes: () => nodes.list() });
  const informers = [volumes, devices, nodes, leases];
  let ready = false;
  const synced = Promise.all(informers.map((informer) => informer.synced)).then(() => {
    ready = true;
    loop.start();
    unwell.start();
    safeToReboot.start();
    log.info("controller has read the API", { volumes: volumes.list().length, drives: devices.list().length });
  });
  synced.catch(() => {});
  return {
    port: createPort(deps, placer, () => ready),
    ready: () => ready,
    synced,
    start: () => informers.forEach((informer) => informer.start()),
    stop: async () => {
      unwell.stop();
      await Promise.all([loop.stop(), safeToReboot.stop(), ...informers.map((informer) => informer.stop())]);
    },
  };
}

/** The CSI calls; none is served before everything has been read. */
function createPort(deps: ControllerDeps, placer: Placer, ready: () => boolean): ControllerPort {
  const call = async <T>(what: string, signal: AbortSignal, work: () => T | Promise<T>): Promise<T> => {
    if (!ready()) throw new MeshStorError("ApiUnavailable", `${what}: this controller does not lead, or has not read the API yet`);
    return withApi(what, signal, async () => work());
  };
  const { client, cache } = deps;
  const cluster = () => ({ nodes: cache.nodes(), drives: candidateDrives(cache.devices()), reservations: reservationsOf(cache.volumes()) });
  return {
    create: (request, signal) => call(`creating volume ${request.volumeID}`, signal, async () => summaryOf(await createVolume(deps, placer, request, signal))),
    remove: (name, signal) => call(`deleting volume ${name}`, signal, () => deleteVolume(deps, name, signal)),
    expand: (request, signal) => call(`expanding volume ${request.volumeID}`, signal, () => expandVolume(deps, cluster, request, signal)),
    modify: (request, signal) => call(`modifying volume ${request.volumeID}`, signal, () => modifyVolume(deps, request, signal)),
    find: (name, signal) =>
      call(`reading volume ${name}`, signal, async () => {
        const volume = await client.tryGet(VOLUMES, name, { signal });
        return volume && volume.metadata.deletionTimestamp === undefined ? summaryOf(volume) : null;
      }),
    list: (signal) => call("listing volumes", signal, () => listed(cache.volumes())),
    capacity: ({ parameters, within }, signal) => call("reading capacity", signal, () => capacityOf(cluster(), wishOf(parameters), within)),
  };
}
