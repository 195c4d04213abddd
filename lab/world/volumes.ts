/** Volumes as the provisioner asks for them. */
import { Controller } from "../../src/csi/gen/csi_pb.ts";
import { type Capability, MOUNT_XFS } from "./node-program.ts";
import { eventually } from "./wait.ts";
import type { World } from "./world.ts";

export interface VolumeRequest {
  /** Bytes; 512 MiB unless told. */
  readonly size?: number;
  readonly parameters?: Readonly<Record<string, string>>;
  /** Nodes preferred for the first placement. */
  readonly preferred?: readonly string[];
  readonly seconds?: number;
  /** A filesystem of XFS unless told. */
  readonly capability?: Capability;
}

const MiB = 1024 ** 2;

/** CreateVolume; returns the volume id. @throws CsiError */
export async function createVolume(world: World, name: string, request: VolumeRequest = {}): Promise<string> {
  const preferred = (request.preferred ?? []).map((node) => ({ segments: { "topology.io.meshstor.csi.mesh/node": node } }));
  const answer = await world.controller.csi().call(
    Controller,
    Controller.method.createVolume,
    {
      name,
      capacityRange: { requiredBytes: BigInt(request.size ?? 512 * MiB) },
      parameters: { ...request.parameters },
      volumeCapabilities: [request.capability ?? MOUNT_XFS],
      ...(preferred.length > 0 ? { accessibilityRequirements: { requisite: preferred, preferred } } : {}),
    },
    (request.seconds ?? 180) * 1000,
  );
  return answer.volume?.volumeId ?? "";
}

/** ControllerExpandVolume, then NodeExpandVolume on the node where it is published, as kubelet calls it: resolves when the pod has the room. @throws CsiError */
export async function expandVolume(world: World, id: string, on: string, bytes: number, seconds = 180): Promise<void> {
  const wish = { volumeId: id, capacityRange: { requiredBytes: BigInt(bytes) } };
  const answer = await world.controller.csi().call(Controller, Controller.method.controllerExpandVolume, wish);
  if (Number(answer.capacityBytes) !== bytes || !answer.nodeExpansionRequired) throw new Error(`the controller said ${answer.capacityBytes}, ${answer.nodeExpansionRequired}`);
  const there = await world.node(on).expand(id, bytes, seconds);
  if (there !== bytes) throw new Error(`node ${on} said ${there} bytes`);
}

/** DeleteVolume, and waits until its object is gone. @throws CsiError */
export async function deleteVolume(world: World, id: string, options: { wait?: boolean } = {}): Promise<void> {
  await world.controller.csi().call(Controller, Controller.method.deleteVolume, { volumeId: id });
  if (options.wait === false) return;
  await eventually(`volume ${id} is wiped and gone`, 90, async () => {
    const volume = await world.volume(id);
    if (volume === null) return true;
    const left = (volume.status?.partitions ?? []).map((p) => `${p.nodeID} ${p.state}`).join(", ");
    return `left: ${left || "the object only"}`;
  });
}

/** Waits until a volume is Synced with all its copies and no resync runs. */
export function untilHealthy(world: World, id: string, seconds = 90): Promise<unknown> {
  return world.untilVolume(id, "is healthy", seconds, (v) => {
    const s = v.status ?? {};
    const settled = (s.partitions ?? []).every((p) => p.state === "Synced");
    const ok = s.phase === "Synced" && s.mdState === "active" && s.degraded === 0 && settled;
    return ok || `${s.phase} ${s.mdState} ${s.syncPercentage ?? ""} ready ${s.ready}: ${(s.partitions ?? []).map((p) => `${p.nodeID} ${p.state}`).join(", ")}; ${s.message ?? ""}`;
  });
}
