/** CSI Controller: checks arguments, keeps one operation per volume, and hands over to the controller role. */
import type { MessageInitShape } from "@bufbuild/protobuf";

import { parseMutableParameters, parseParameters, type VolumeParameters } from "../api/parameters.ts";
import type { VolumeSpec } from "../api/volume.ts";
import { isVolumeName, volumeNameFor } from "../api/volume-name.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import { type BoundService, bindService } from "./adapter.ts";
import { checkCapabilities, unsupportedReason } from "./capabilities.ts";
import { checkExpansion, checkPage, checkSize, checkVolumeID, MINIMUM_CAPACITY, nodesWithin, pageToken, readTopology } from "./checks.ts";
import type { ControllerPort, CreateRequest, VolumeSummary } from "./controller-port.ts";
import {
  Controller,
  ControllerServiceCapability_RPC_Type as Rpc,
  type CreateVolumeRequest,
  type GetCapacityRequest,
  type ListVolumesRequest,
  type ValidateVolumeCapabilitiesRequest,
  type VolumeSchema,
} from "./gen/csi_pb.ts";
import { VolumeLocks } from "./volume-lock.ts";

const CAPABILITIES = [
  Rpc.CREATE_DELETE_VOLUME,
  Rpc.LIST_VOLUMES,
  Rpc.GET_CAPACITY,
  Rpc.GET_VOLUME,
  Rpc.VOLUME_CONDITION,
  Rpc.SINGLE_NODE_MULTI_WRITER,
  Rpc.EXPAND_VOLUME,
  Rpc.MODIFY_VOLUME,
];

/** The Controller service over the controller role. */
export function controllerService(port: ControllerPort): BoundService {
  const locks = new VolumeLocks();
  return bindService(Controller, {
    createVolume: async (request, signal) => {
      const wish = readCreate(request);
      const volume = await locks.run(wish.volumeID, "CreateVolume", () => port.create(wish, signal));
      return { volume: volumeOf(volume) };
    },
    deleteVolume: async (request, signal) => {
      const { volumeId } = request;
      if (volumeId === "") throw new MeshStorError("InvalidParameter", "volume_id is missing");
      // What cannot exist is deleted already.
      if (isVolumeName(volumeId)) await locks.run(volumeId, "DeleteVolume", () => port.remove(volumeId, signal));
      return {};
    },
    validateVolumeCapabilities: (request, signal) => validate(port, request, signal),
    listVolumes: (request, signal) => list(port, request, signal),
    getCapacity: (request, signal) => capacity(port, request, signal),
    controllerExpandVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const wish = checkExpansion(request.capacityRange);
      const capacityBytes = await locks.run(volumeID, "ControllerExpandVolume", () => port.expand({ volumeID, ...wish }, signal));
      // The node that has it staged waits until it has grown; one that nobody uses grows when it is next used.
      return { capacityBytes: BigInt(capacityBytes), nodeExpansionRequired: true };
    },
    controllerModifyVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const change = parseMutableParameters(request.mutableParameters);
      if (Object.keys(change).length === 0) throw new MeshStorError("InvalidParameter", "mutable_parameters is missing");
      await locks.run(volumeID, "ControllerModifyVolume", () => port.modify({ volumeID, change }, signal));
      return {};
    },
    controllerGetVolume: async (request, signal) => {
      const volume = await mustFind(port, request.volumeId, signal);
      return { volume: volumeOf(volume), status: { volumeCondition: conditionOf(volume) } };
    },
    controllerGetCapabilities: () => ({ capabilities: CAPABILITIES.map((type) => ({ type: { case: "rpc" as const, value: { type } } })) }),
  });
}

function readCreate(request: CreateVolumeRequest): CreateRequest {
  if (request.name === "") throw new MeshStorError("InvalidName", "name is missing");
  const volumeID = volumeNameFor(request.name);
  const { volumeMode, fsType } = checkCapabilities(request.volumeCapabilities);
  // What a VolumeAttributesClass says goes before the StorageClass.
  const parameters = { ...parseParameters(request.parameters), ...parseMutableParameters(request.mutableParameters) };
  if (request.volumeContentSource) throw new MeshStorError("UnsupportedCapability", "volume_content_source: volumes from snapshots or other volumes are not offered");
  const size = checkSize(request.capacityRange);
  return { requestedName: request.name, volumeID, parameters, volumeMode, fsType, ...size, ...readTopology(request.accessibilityRequirements) };
}

async function mustFind(port: ControllerPort, id: string, signal: AbortSignal): Promise<VolumeSummary> {
  const volumeID = checkVolumeID(id);
  const volume = await port.find(volumeID, signal);
  if (!volume) throw new MeshStorError("VolumeNotFound", `volume_id ${volumeID} does not exist`);
  return volume;
}

async function validate(port: ControllerPort, request: ValidateVolumeCapabilitiesRequest, signal: AbortSignal) {
  const { volumeCapabilities, volumeContext, parameters, mutableParameters } = request;
  if (request.volumeId === "") throw new MeshStorError("InvalidParameter", "volume_id is missing");
  if (volumeCapabilities.length === 0) throw new MeshStorError("InvalidParameter", "volume_capabilities is missing");
  const volume = await mustFind(port, request.volumeId, signal);
  const refusal = unsupportedReason(volumeCapabilities, { name: volume.volumeID, spec: volume.spec }) ?? parametersRefusal(parameters, mutableParameters, volume.spec);
  if (refusal !== null) return { message: refusal };
  return { confirmed: { volumeCapabilities, volumeContext, parameters, mutableParameters } };
}

/** Why the parameters are not those of the volume, or null; those of a VolumeAttributesClass go before those of the StorageClass. */
function parametersRefusal(parameters: Record<string, string>, mutable: Record<string, string>, spec: VolumeSpec): string | null {
  if (Object.keys({ ...parameters, ...mutable }).length === 0) return null;
  try {
    return differenceOf({ ...parseParameters(parameters), ...parseMutableParameters(mutable) }, spec);
  } catch (error) {
    return asMeshStorError(error).message;
  }
}

/** The first parameter in which a volume differs from what is asked for, as a sentence; null if it is the same. */
export function differenceOf(wanted: VolumeParameters, spec: VolumeSpec): string | null {
  for (const field of ["numberOfCopies", "drivesPerCopy", "memberMissingTimeout"] as const) {
    if (wanted[field] !== spec[field]) return `parameter ${field} is ${wanted[field]}, the volume has ${spec[field]}`;
  }
  // Without a wish any sector size will do; the volume's was chosen when it was placed.
  if (wanted.sectorSize !== undefined && wanted.sectorSize !== spec.sectorSize) return `parameter sectorSize is ${wanted.sectorSize}, the volume has ${spec.sectorSize}`;
  return null;
}

async function list(port: ControllerPort, request: ListVolumesRequest, signal: AbortSignal) {
  const { maxEntries, after } = checkPage(request.maxEntries, request.startingToken);
  const rest = (await port.list(signal)).filter((volume) => volume.volumeID > after);
  const page = maxEntries === 0 ? rest : rest.slice(0, maxEntries);
  const last = page.at(-1);
  return {
    entries: page.map((volume) => ({ volume: volumeOf(volume), status: { volumeCondition: conditionOf(volume) } })),
    nextToken: last && page.length < rest.length ? pageToken(last.volumeID) : "",
  };
}

async function capacity(port: ControllerPort, request: GetCapacityRequest, signal: AbortSignal) {
  const parameters = parseParameters(request.parameters);
  if (unsupportedReason(request.volumeCapabilities) !== null) return { availableCapacity: 0n };
  const within = nodesWithin(request.accessibleTopology);
  const { availableBytes, biggestVolumeBytes } = await port.capacity({ parameters, ...(within && { within }) }, signal);
  return { availableCapacity: BigInt(availableBytes), maximumVolumeSize: BigInt(biggestVolumeBytes), minimumVolumeSize: BigInt(MINIMUM_CAPACITY) };
}

/** No accessible_topology: a volume can be used from every node, so the PV carries no node affinity. */
function volumeOf(volume: VolumeSummary): MessageInitShape<typeof VolumeSchema> {
  return { volumeId: volume.volumeID, capacityBytes: BigInt(volume.capacityBytes) };
}

function conditionOf(volume: VolumeSummary) {
  return { abnormal: volume.abnormal, message: volume.message };
}
