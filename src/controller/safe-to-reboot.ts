/** Keeps the condition "safe to reboot" of every node's Node object: judged often, written only when it changes. */
import { SAFE_TO_REBOOT } from "../api/names.ts";
import { asMeshStorError } from "../base/errors.ts";
import { safeToReboot, type RebootVerdict } from "../core/safe-to-reboot.ts";
import { type Node, type NodeCondition, NODES } from "../kube/resources.ts";
import { type ControllerDeps, isoNow } from "./deps.ts";

/** Between two judgements: heartbeats grow old, records change. */
const EVERY_MS = 2000;
/** Time for a write to be seen in the watch; before that it is not repeated. */
const SEEN_MS = 10_000;

export interface SafeToRebootOptions extends Pick<ControllerDeps, "client" | "cache" | "clock" | "log"> {
  nodes(): Node[];
  everyMs?: number;
}

export class SafeToReboot {
  readonly #options: SafeToRebootOptions;
  readonly #stop = new AbortController();
  /** What was written last, by the UID of the node. */
  readonly #written = new Map<string, { verdict: RebootVerdict; atMs: number }>();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(options: SafeToRebootOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), this.#options.everyMs ?? EVERY_MS);
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    if (this.#timer) clearInterval(this.#timer);
    await this.#running;
  }

  #tick(): void {
    // One at a time: a server that answers slowly is not asked more.
    this.#running ??= this.#pass().finally(() => (this.#running = null));
  }

  async #pass(): Promise<void> {
    const { cache, log } = this.#options;
    // What is known is old, and nothing can be written either: judged anew when the API answers.
    if (cache.isStale()) return;
    const known = cache.nodes();
    const alive = new Set(known.filter((node) => node.ready).map((node) => node.name));
    const names = new Set(known.map((node) => node.name));
    const volumes = cache.volumes();
    for (const node of this.#options.nodes()) {
      const { name, uid = "", deletionTimestamp } = node.metadata;
      if (this.#stop.signal.aborted) return;
      if (deletionTimestamp || !names.has(name)) continue;
      const verdict = safeToReboot({ node: name, volumes, alive });
      if (says(conditionOf(node), verdict) || this.#wasWritten(uid, verdict)) continue;
      await this.#write(node, verdict).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) log.warn("condition of a node not written; tried again", { node: name, error: asMeshStorError(error).message });
      });
    }
  }

  #wasWritten(uid: string, verdict: RebootVerdict): boolean {
    const last = this.#written.get(uid);
    return last !== undefined && this.#options.clock.nowMs() - last.atMs <= SEEN_MS && says(last.verdict, verdict);
  }

  async #write(node: Node, verdict: RebootVerdict): Promise<void> {
    const { client, clock, log } = this.#options;
    const { name, uid = "" } = node.metadata;
    const now = isoNow(clock);
    const before = conditionOf(node);
    const lastTransitionTime = before?.status === verdict.status ? (before.lastTransitionTime ?? now) : now;
    await client.patchStatus(NODES, name, { conditions: [{ type: SAFE_TO_REBOOT, ...verdict, lastHeartbeatTime: now, lastTransitionTime }] }, { signal: this.#stop.signal });
    this.#written.set(uid, { verdict, atMs: clock.nowMs() });
    if (before?.status !== verdict.status) log.info("node safe to reboot, or not", { node: name, ...verdict });
  }
}

/** The condition as the Node object shows it. */
export function conditionOf({ status }: Node): NodeCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === SAFE_TO_REBOOT);
}

function says(shown: Partial<RebootVerdict> | undefined, { status, reason, message }: RebootVerdict): boolean {
  return shown?.status === status && shown.reason === reason && shown.message === message;
}
