/**
 * `kubectl meshstor override`: a person decides that a volume goes on from a stale copy (I3). Nothing is written before it was
 * said what may be lost and the volume's name was typed; what is written is exactly what was said, in all mirrors or in none.
 */
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import type { OverridePlan, OverrideWish } from "../core/override-plan.ts";
import { planOverride, recordOverrides } from "../core/override-plan.ts";
import { updateStatusResult } from "../kube/update.ts";
import { audit, whoami } from "./audit.ts";
import type { Context } from "./context.ts";
import { say } from "./context.ts";
import { during } from "./failure.ts";
import { getLivingVolume } from "./objects.ts";
import { heardOf } from "./heard-of.ts";

export interface OverrideOptions {
  copy: string;
  mirror?: number[];
  evenHalfSynced?: boolean;
  ownerIsOff?: boolean;
  yesIMean?: string;
  by?: string;
}

export async function overrideCommand(context: Context, name: string, options: OverrideOptions): Promise<void> {
  const wish: OverrideWish = { copy: options.copy, mirrors: options.mirror ?? [] };
  const volume = await getLivingVolume(context, name);
  const plan = planOverride(volume, wish);
  if ("refusal" in plan) throw new MeshStorError("BadArgument", `--copy ${options.copy}: ${plan.refusal}`);
  const by = await decider(context, options.by);
  const decision = { evenHalfSynced: options.evenHalfSynced ?? false, ownerIsOff: options.ownerIsOff ?? false, by };
  const record = (fresh: MeshStorVolume) => recordOverrides(fresh, wish, plan, { ...decision, now: iso(context.now()) });
  const trial = record(volume);
  if (!trial.ok) throw refused(trial.refusal);

  await showOutlook(context, volume, plan);
  await confirm(context, name, options.yesIMean);
  const written = await during(`overriding volume ${name}`, async () => {
    const { volume: after } = await updateStatusResult(context.client, name, (fresh) => {
      // A volume that was deleted and made anew is another one: nobody has decided about that.
      if (fresh.metadata.uid !== volume.metadata.uid || fresh.metadata.deletionTimestamp) throw refused("it was deleted meanwhile");
      const result = record(fresh);
      if (!result.ok) throw refused(result.refusal);
      return result.status;
    });
    return after;
  });
  say(context, `volume ${name}: done; it starts from the copy on node ${nodesOf(plan)} when a node uses it next, and everything else is rebuilt from it`);
  await audit(context, written, { type: "Warning", reason: "Overridden", action: "Override", note: `${by} decided: ${plan.sentences.join("; ")}` });
}

/** As whom the API server knows the person; what is said with --by stands before it. */
async function decider(context: Context, by: string | undefined): Promise<string> {
  const user = await whoami(context);
  if (!by && !user) throw new MeshStorError("BadArgument", "--by: the API server does not say who you are, and it must be kept who decided");
  return by && user && by !== user ? `${by} (signed in as ${user})` : (by ?? user!);
}

async function showOutlook(context: Context, volume: MeshStorVolume, plan: OverridePlan): Promise<void> {
  for (const sentence of plan.sentences) say(context, sentence);
  const nodes = [...new Set(plan.outlooks.flatMap((o) => o.givenUp.map((m) => m.nodeID)))];
  for (const sentence of await heardOf(context, nodes)) say(context, sentence);
  const { owner } = volume.status ?? {};
  if (owner)
    say(
      context,
      `you vouch that the machine of node ${owner.nodeName}, which owns the volume, is off and stays off until this is done: if it is not, it may acknowledge writes that are lost`,
    );
  if (nodes.length > 0) say(context, `if the copy on node ${nodes.join(", ")} can still be brought back, do that instead: nothing is lost then`);
}

async function confirm(context: Context, name: string, given: string | undefined): Promise<void> {
  const typed = given ?? (await context.terminal.ask(`Type the volume's name to go on: `));
  if (typed === null) throw new MeshStorError("NotConfirmed", `volume ${name}: nobody can be asked here; --yes-i-mean ${name} says it`);
  if (typed.trim() !== name) throw new MeshStorError("NotConfirmed", `${JSON.stringify(typed.trim())} is not the volume's name ${name}`);
}

function refused(why: string): MeshStorError {
  const flag = why.endsWith("is half-synced")
    ? "; --even-half-synced takes it nevertheless"
    : why.endsWith("it must be off for good")
      ? "; if its machine is off, say so with --owner-is-off"
      : "";
  return new MeshStorError("Unsafe", `nothing was changed: ${why}${flag}`);
}

function nodesOf(plan: OverridePlan): string {
  return [...new Set(plan.chosen.map((c) => c.nodeID))].join(", ");
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
