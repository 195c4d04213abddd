/** `kubectl meshstor scale NAME --replicas N`: the same wish as `kubectl scale msvol/NAME`, and a wait for it. */
import { VOLUMES } from "../kube/resources.ts";
import { audit, whoami } from "./audit.ts";
import type { Context } from "./context.ts";
import { say } from "./context.ts";
import { during } from "./failure.ts";
import { getLivingVolume, getVolume } from "./objects.ts";
import { lineOf, waitFor } from "./wait.ts";
import type { WaitOptions } from "./wait-options.ts";

export interface ScaleOptions extends WaitOptions {
  replicas: number;
}

export async function scaleCommand(context: Context, name: string, { replicas, wait, timeout }: ScaleOptions): Promise<void> {
  const volume = await getLivingVolume(context, name);
  const before = volume.spec.numberOfCopies;
  if (before === replicas) say(context, `volume ${name}: ${replicas} copies are wanted already`);
  else {
    await during(`scaling volume ${name}`, () => context.client.mergePatch(VOLUMES, name, { spec: { replicas } }, { subresource: "scale" }));
    say(context, `volume ${name}: ${replicas} copies are wanted (${before} before)`);
    const by = await whoami(context);
    await audit(context, volume, { type: "Normal", reason: "Scaled", action: "Scale", note: `${by ?? "somebody"} wants ${replicas} copies (${before} before)` });
  }
  if (!wait) return;
  await waitFor(context, `scaling volume ${name}`, timeout, async () => {
    const now = await getVolume(context, name);
    const { status, spec } = now;
    // The wish of whoever came last counts; another number than ours never comes true here.
    const changed = spec.numberOfCopies === replicas ? "" : ` (somebody else wants ${spec.numberOfCopies} copies)`;
    return { done: status?.ready === `${replicas}/${replicas}` && status.degraded === 0, line: `${lineOf(now)}${changed}` };
  });
}
