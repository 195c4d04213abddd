/** Record actions as compare-and-swaps of the volume's status (I1, I2). */
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import type { RecordAction } from "../core/action.ts";
import { withConditions } from "../core/conditions.ts";
import type { RecordContext } from "../core/record.ts";
import { applyRecord } from "../core/record.ts";
import { sentenceAtRest } from "../core/sentence.ts";
import { summariseAtRest } from "../core/summary.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/client.ts";
import { updateStatus } from "../kube/update.ts";

/** How long one record action may take; a loss waits for it with its writes held (I1). */
const RECORD_TIMEOUT_MS = 5_000;

/**
 * Writes one record action and returns the volume as it stands after. `uid` guards against a volume
 * that was deleted and made anew under the same name.
 * @throws MeshStorError RecordConflict when the record no longer fits the plan, ApiUnavailable when the API does not answer
 */
export async function writeRecord(client: KubeClient, name: string, uid: string, action: RecordAction, context: RecordContext): Promise<MeshStorVolume> {
  try {
    return await updateStatus(
      client,
      name,
      (volume) => {
        if (volume.metadata.uid !== uid) throw new MeshStorError("RecordConflict", `volume ${name} was deleted and made anew`);
        const result = applyRecord(action, volume, context);
        if (!result.ok) throw new MeshStorError("RecordConflict", `${action.kind} of volume ${name}: ${result.refusal}`);
        if (result.status.owner) return result.status;
        const rest = { ...volume, status: result.status };
        const summarised = { ...volume, status: { ...result.status, ...summariseAtRest(rest), message: sentenceAtRest(rest) } };
        return withConditions(summarised, summarised.status, context.now);
      },
      // Z2: a release follows only a write that was answered, so a loss insists on its own.
      { definite: action.kind === "RecordOut" || action.kind === "RecordRetire", timeoutMs: RECORD_TIMEOUT_MS },
    );
  } catch (error) {
    throw asRecordError(name, action, error);
  }
}

function asRecordError(name: string, action: RecordAction, error: unknown): MeshStorError {
  if (error instanceof MeshStorError) return error;
  if (error instanceof KubeError && error.isNotFound) return new MeshStorError("VolumeNotFound", `volume ${name} does not exist any more`, { cause: error });
  if (error instanceof KubeError && error.isConflict) return new MeshStorError("RecordConflict", `volume ${name} is changed by others too often`, { cause: error });
  const reason = error instanceof Error ? error.message : String(error);
  return new MeshStorError("ApiUnavailable", `${action.kind} of volume ${name} could not be recorded: ${reason}`, { cause: error });
}
