/** A provider's kernel shuts down while an owner writes: what the owner's MD hears of it (experiment 8, Z12). */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Guest } from "../../lab/guest/guest.ts";
import { finished, MD, memberState, start, untilLost, type Path } from "./raw.ts";

/** Writes without end, until /tmp/enough is there; fails with the first write that fails. */
export const LOAD = `while [ ! -e /tmp/enough ]; do dd if=/dev/zero of=/dev/${MD} bs=64k count=4 seek=$((RANDOM % 3000)) oflag=direct conv=notrunc status=none || exit 1; done`;

/** The provider goes for good. `member`: kernel name of its namespace in the owner's mirror. */
export async function shutDownUnderLoad(t: TestContext, owner: Guest, provider: Guest, path: Path, member: string): Promise<void> {
  await owner.sh("rm -f /tmp/enough");
  const load = await start(owner, LOAD);
  await sleep(1_000);
  assert.equal(await load.within(0), null, "engaged: the load runs");
  // Not at once: that it was started must be heard before its machine is gone.
  const off = await start(provider, "sleep 1; busybox poweroff -f");
  const lostMs = await untilLost(owner, [path.controller]);
  await off.within(20_000);
  const state = await memberState(owner, member);
  const held = (await load.within(1_500)) === null;
  t.diagnostic(`lost ${Math.round(lostMs)} ms after poweroff, member ${state}, writes held: ${held}, provider: ${provider.state}`);
  await owner.sh(`: >/tmp/enough; mdadm --manage /dev/${MD} --fail /dev/${path.device} || true`);
  await finished("disconnect", await start(owner, `nvme disconnect --device=${path.controller}`), 10_000);
  const wrote = await finished("the load", load, 10_000);
  assert.ok(/in_sync/.test(state) && !/faulty/.test(state), `MD was told nothing (member ${state})`);
  assert.deepEqual([held, wrote.code], [true, 0]);
}
