/** The CSI Node service's calls, as intents for the loop and waits for its results. */
import { setTimeout as sleep } from "node:timers/promises";
import type { VolumeSpec } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import type { HostSnapshot } from "../core/observed.ts";
import type { Intent } from "../core/plan.ts";
import { planPublish, planUnpublish } from "../core/plan-publish.ts";
import { isBlock, stagedTarget } from "../core/staged.ts";
import { misfitOf } from "../csi/capabilities.ts";
import type { ExpandRequest, NodeInfo, NodePort, PublishRequest, StageRequest, StatsRequest, UnpublishRequest, UnstageRequest, Usage, VolumeStats } from "../csi/node-port.ts";
import type { PassResult } from "./reconcile.ts";
import type { StepHook } from "./ports.ts";
import { finalError } from "./volumes.ts";
import type { Volumes } from "./volumes.ts";

/** What the port needs of the host beside the loop. */
export interface CsiHost {
  snapshot(): Promise<HostSnapshot>;
  /** Kind of file at a path; `missing` if there is none. Runs with a deadline. */
  pathKind(path: string): Promise<"directory" | "file" | "missing">;
  makeDirectory(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  /** Binds the volume device's node on a file, for a raw block volume. */
  bindDevice(device: string, target: string): Promise<void>;
  mountPublish(source: string, target: string, readOnly: boolean): Promise<void>;
  unmount(target: string): Promise<void>;
  usage(path: string): Promise<{ bytes: Usage; inodes: Usage }>;
  /** Errors that the ext4 on a device (kernel name) has met since it was last checked. */
  ext4Errors(device: string): Promise<number>;
}

/** What a CSI call needs to know of a volume. */
export interface VolumeFacts {
  uid: string;
  spec: VolumeSpec;
  /** Why it is not as it should be; empty if it is. */
  degraded: string;
  /** Bytes that the volume, and the filesystem on it, have grown to as the record says. */
  grownBytes: number;
  /** What the record says at the moment. */
  message: string;
}

export interface CsiPortDeps {
  volumes: Volumes;
  host: CsiHost;
  info: NodeInfo;
  /** Called around every mount and unmount, as the loop does around its actions. */
  hook: StepHook;
  /** The volume as it is known, read from the API if the cache has none; null if it does not exist. */
  find(name: string): Promise<VolumeFacts | null>;
}

export function createCsiPort(deps: CsiPortDeps): NodePort {
  return {
    stage: (r, signal) => stage(deps, r, signal),
    unstage: (r, signal) => unstage(deps, r, signal),
    publish: (r) => publish(deps, r),
    unpublish: (r) => unpublish(deps, r),
    stats: (r) => stats(deps, r),
    expand: (r, signal) => expand(deps, r, signal),
    info: () => deps.info,
  };
}

async function stage(deps: CsiPortDeps, r: StageRequest, signal: AbortSignal): Promise<void> {
  const { spec } = await mustFit(deps, r);
  await mustBeDirectory(deps, r.stagingPath, "staging_target_path");
  const { host, device } = await locate(deps, r.volumeID);
  const target = stagedTarget(spec, r.stagingPath);
  const there = host.mounts.filter((m) => m.target === r.stagingPath || m.target === target).at(-1);
  if (there && there.device !== device) throw new MeshStorError("TargetInUse", `staging_target_path ${there.target} is used by another mount (${there.device || there.fsType})`);
  await untilDone(deps, r.volumeID, { kind: "stage", stagingPath: r.stagingPath, mountFlags: r.mountFlags, readOnly: r.readOnly }, signal);
}

async function unstage(deps: CsiPortDeps, r: UnstageRequest, signal: AbortSignal): Promise<void> {
  await untilDone(deps, r.volumeID, { kind: "unstage", stagingPath: r.stagingPath }, signal);
}

/** Waits for the loop to meet the intent; ends early with a refusal, and with the last sentence when the call is over. */
function untilDone(deps: CsiPortDeps, name: string, intent: Intent, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentence = `volume ${name} is being looked at`;
    const finish = (settle: () => void) => {
      remove();
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = () => finish(() => reject(new MeshStorError("Waiting", sentence)));
    const remove = deps.volumes.ask(name, intent, (result: PassResult) => {
      // A pass that was under way when this call came speaks for another intent.
      if (result.intent !== intent) return;
      const final = finalError(result.error);
      if (result.plan.done && !result.error) return finish(resolve);
      if (final) return finish(() => reject(final));
      if (result.plan.refusal && !result.error) {
        const { code, message } = result.plan.refusal;
        return finish(() => reject(new MeshStorError(code, message)));
      }
      sentence = result.error?.message ?? result.plan.waits[0] ?? sentence;
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  });
}

async function publish(deps: CsiPortDeps, r: PublishRequest): Promise<void> {
  const { spec } = await mustFit(deps, r);
  const wrong = isBlock(spec) ? "directory" : "file";
  if ((await deps.host.pathKind(r.targetPath)) === wrong) throw new MeshStorError("TargetInUse", `target_path ${r.targetPath} is a ${wrong}`);
  for (;;) {
    const { host, device } = await locate(deps, r.volumeID);
    const next = planPublish(host.mounts, device, spec, r);
    if (next.refusal) throw new MeshStorError(next.refusal.code, next.refusal.message);
    if (!next.action) return;
    const { kind } = next.action;
    if (kind !== "BindDevice") await deps.host.makeDirectory(r.targetPath);
    deps.hook("before", kind);
    if (kind === "BindDevice") await deps.host.bindDevice(next.action.device, r.targetPath);
    else await deps.host.mountPublish(r.stagingPath, r.targetPath, r.readOnly);
    deps.hook("after", kind);
  }
}

async function unpublish(deps: CsiPortDeps, r: UnpublishRequest): Promise<void> {
  for (;;) {
    const host = await deps.host.snapshot();
    const action = planUnpublish(host.mounts, r.targetPath);
    if (!action) break;
    deps.hook("before", action.kind);
    await deps.host.unmount(r.targetPath);
    deps.hook("after", action.kind);
  }
  await deps.host.removeDirectory(r.targetPath);
}

async function stats(deps: CsiPortDeps, r: StatsRequest): Promise<VolumeStats> {
  const volume = await mustFind(deps, r.volumeID);
  const { host, device } = await mountedAt(deps, r);
  const errors = volume.spec.fsType === "ext4" && !isBlock(volume.spec) ? await deps.host.ext4Errors(device) : 0;
  const unwell = volume.degraded || (errors > 0 ? `ext4 has met ${errors} errors since it was last checked: unstage the volume, and run e2fsck on a copy or a backup first` : "");
  const condition = { abnormal: unwell !== "", message: unwell || "all copies are in sync" };
  // A raw device has a size, and only its user knows what of it is used.
  if (isBlock(volume.spec)) return { size: host.volumeDevices.find((d) => d.device === device)!.sizeBytes, ...condition };
  return { ...(await deps.host.usage(r.volumePath)), ...condition };
}

/** How often the record is looked at while a volume grows. */
const GROWN_MS = 250;

/** The owner's loop grows the volume whether somebody waits for it or not; this call is woken by nothing and only looks. */
async function expand(deps: CsiPortDeps, r: ExpandRequest, signal: AbortSignal): Promise<number> {
  await mustFind(deps, r.volumeID);
  const { device } = await mountedAt(deps, r);
  deps.volumes.wake(r.volumeID);
  for (;;) {
    const { spec, grownBytes, message } = await mustFind(deps, r.volumeID);
    if (r.atLeast > spec.capacityBytes)
      throw new MeshStorError(
        "SizeOutOfRange",
        `capacity_range asks for ${r.atLeast} bytes, and volume ${r.volumeID} shall have ${spec.capacityBytes}: it is expanded by the controller first`,
      );
    const there = grownBytes >= spec.capacityBytes ? (await deps.host.snapshot()).volumeDevices.find((d) => d.device === device) : undefined;
    if (there && there.sizeBytes >= spec.capacityBytes) return spec.capacityBytes;
    if (signal.aborted) throw new MeshStorError("Waiting", message || `volume ${r.volumeID} grows to ${spec.capacityBytes} bytes`);
    await sleep(GROWN_MS, undefined, { signal }).catch(() => {});
  }
}

/** The volume's device, which is mounted or bound at the path that the call names. */
async function mountedAt(deps: CsiPortDeps, { volumeID, volumePath }: { volumeID: string; volumePath: string }): Promise<{ host: HostSnapshot; device: string }> {
  const { host, device } = await locate(deps, volumeID);
  if (device !== null && host.mounts.some((m) => m.target === volumePath && m.device === device)) return { host, device };
  throw new MeshStorError("VolumeNotFound", `volume ${volumeID} is not mounted at volume_path ${volumePath}`);
}

/** The volume, which offers what the call's capability asks for. */
async function mustFit(deps: CsiPortDeps, r: StageRequest | PublishRequest): Promise<VolumeFacts> {
  const volume = await mustFind(deps, r.volumeID);
  const misfit = misfitOf(r, { name: r.volumeID, spec: volume.spec }, "volume_capability");
  if (misfit !== null) throw new MeshStorError("InvalidParameter", misfit);
  return volume;
}

async function mustFind(deps: CsiPortDeps, name: string): Promise<VolumeFacts> {
  const volume = await deps.find(name);
  if (!volume) throw new MeshStorError("VolumeNotFound", `volume_id ${name} does not exist`);
  return volume;
}

async function mustBeDirectory(deps: CsiPortDeps, path: string, field: string): Promise<void> {
  const kind = await deps.host.pathKind(path);
  if (kind === "file") throw new MeshStorError("TargetInUse", `${field} ${path} is not a directory`);
  if (kind === "missing") await deps.host.makeDirectory(path);
}

/** The kernel name of the volume's device on this node, in a new snapshot. */
async function locate(deps: CsiPortDeps, name: string): Promise<{ host: HostSnapshot; device: string | null }> {
  const host = await deps.host.snapshot();
  const uid = (await deps.find(name))?.uid;
  return { host, device: host.volumeDevices.find((d) => d.volumeUID === uid)?.device ?? null };
}
