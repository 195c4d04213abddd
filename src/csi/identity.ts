/** CSI Identity: who we are, what we can do, and whether we are ready. The same in both roles. */
import { DRIVER_NAME } from "../api/names.ts";
import { type BoundService, bindService } from "./adapter.ts";
import { Identity, PluginCapability_Service_Type, PluginCapability_VolumeExpansion_Type } from "./gen/csi_pb.ts";

export interface IdentityOptions {
  version: string;
  /** False while the program cannot serve volumes yet. */
  ready: () => boolean;
}

/** The Identity service. */
export function identityService({ version, ready }: IdentityOptions): BoundService {
  const expansion = { type: { case: "volumeExpansion" as const, value: { type: PluginCapability_VolumeExpansion_Type.ONLINE } } };
  const service = (type: PluginCapability_Service_Type) => ({ type: { case: "service" as const, value: { type } } });
  return bindService(Identity, {
    getPluginInfo: () => ({ name: DRIVER_NAME, vendorVersion: version }),
    getPluginCapabilities: () => ({
      capabilities: [service(PluginCapability_Service_Type.CONTROLLER_SERVICE), service(PluginCapability_Service_Type.VOLUME_ACCESSIBILITY_CONSTRAINTS), expansion],
    }),
    probe: () => ({ ready: ready() }),
  });
}
