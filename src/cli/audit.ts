/** Who gives a command, and the event that keeps it: best effort, never in the way of the command. */
import type { MeshStorVolume } from "../api/volume.ts";
import { type EventToTell, EventRecorder, referenceTo } from "../kube/events.ts";
import type { ResourceType } from "../kube/resources.ts";
import type { Context } from "./context.ts";

interface SelfSubjectReview {
  apiVersion: "authentication.k8s.io/v1";
  kind: "SelfSubjectReview";
  status?: { userInfo?: { username?: string } };
}
const SELF_SUBJECT_REVIEWS: ResourceType<SelfSubjectReview> = {
  ...{ group: "authentication.k8s.io", version: "v1", plural: "selfsubjectreviews", kind: "SelfSubjectReview", namespaced: false },
};

/** As whom the API server knows us; null if it does not say. */
export async function whoami({ client }: Context): Promise<string | null> {
  try {
    const review = await client.create(SELF_SUBJECT_REVIEWS, { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
    return review.status?.userInfo?.username || null;
  } catch {
    // Older servers and strict ones: the person says it with --by where it must be known.
    return null;
  }
}

/** Writes one event about a volume; a failure is told on standard error. */
export async function audit(context: Context, volume: MeshStorVolume, event: Omit<EventToTell, "regarding">): Promise<void> {
  const tellFailure = (msg: string, fields?: object) => context.terminal.err(`kubectl-meshstor: ${msg}${fields && "error" in fields ? `: ${String(fields.error)}` : ""}\n`);
  const recorder = new EventRecorder({ client: context.client, instance: "kubectl-meshstor", log: { info: () => {}, warn: tellFailure } });
  recorder.tell({ regarding: referenceTo(volume), ...event });
  await recorder.flush(5_000);
}
