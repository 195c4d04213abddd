/**
 * How kubelet learns of this driver: kubelet watches the folder `plugins_registry` for sockets, asks each one for what
 * it offers (plugin registration API, v1), calls NodeGetInfo on the socket named there, and says how it went.
 */
import { DRIVER_NAME } from "../api/names.ts";
import type { Logger } from "../base/log.ts";
import { type BoundService, bindService } from "./adapter.ts";
import { Registration } from "./gen/pluginregistration_pb.ts";

/** Kubelet knows other kinds of plugin too. */
const TYPE = "CSIPlugin";
/** Kubelet takes a driver whose list has a version 1.x; it is about CSI, not about this program. */
const CSI_VERSIONS = ["1.0.0"];

export interface RegistrationOptions {
  /** Path of the socket on which CSI is served, as kubelet sees it. */
  csiPath: string;
  log: Logger;
}

/** The Registration service. A refusal is only told: kubelet asks again by itself, with growing pauses, while the socket is there. */
export function registrationService({ csiPath, log }: RegistrationOptions): BoundService {
  return bindService(Registration, {
    getInfo: () => ({ type: TYPE, name: DRIVER_NAME, endpoint: csiPath, supportedVersions: CSI_VERSIONS }),
    notifyRegistrationStatus: ({ pluginRegistered, error }) => {
      if (pluginRegistered) log.info("kubelet has registered this driver", { csiPath });
      else log.error("kubelet refuses to register this driver", { csiPath, error });
      return {};
    },
  });
}
