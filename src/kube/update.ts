/** Compare-and-swap of a volume's status. (Signatures; the code follows.) */
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import type { KubeClient } from "./client.ts";

export interface UpdateOptions {
  signal?: AbortSignal | undefined;
  /** Most writes that are tried; 6 unless told. */
  attempts?: number;
  /** Insist on a definite answer to a write of this very call; see {@link updateStatus}. */
  definite?: boolean;
}
/** Linearizable GET → mutate → PUT /status, again on conflict; `mutate` is evaluated anew on every attempt, null means no write. */
export function updateStatus(client: KubeClient, name: string, mutate: (volume: MeshStorVolume) => VolumeStatus | null, options: UpdateOptions = {}): Promise<MeshStorVolume> {
  void [client, mutate, options];
  return Promise.reject(new Error(`not written yet: ${name}`));
}
