/** Adapters that are designed (decision 0011) and not there yet: they refuse, so nothing that builds on them goes on. */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";

export async function guardVolume(action: Extract<HostAction, { kind: "GuardVolume" }>): Promise<void> {
  throw new MeshStorError("HostUnsuitable", `the guard of ${action.name} is not built yet`);
}

export async function killUsers(action: Extract<HostAction, { kind: "KillUsers" }>): Promise<void> {
  throw new MeshStorError("HostUnsuitable", `the users of ${action.name} cannot be killed yet: stop them by hand`);
}
