/** Can an owner prove that it still is the owner (I10)? Which members count, and which of them answer. Pure. */
import type { PlanInput } from "./plan-types.ts";
import { lossKey } from "./session.ts";
import type { Session } from "./session.ts";
import type { MemberView, VolumeView } from "./view.ts";
import { throughOf } from "./view.ts";

/**
 * Every remote member that may be in R: recorded in it, or in the array and not recorded out by this very process since.
 * The second half counts one whose RecordIn may stand although its answer was lost: a new owner may start from just it.
 */
export function countedMembers(view: VolumeView, session: Session): MemberView[] {
  return view.members.filter((m) => !m.local && (m.recorded || (m.inArray !== null && !session.recordedOut.includes(lossKey(m.uuid, throughOf(m))))));
}

/** Its connection is live, of this epoch, and the one that the array uses. */
export function answers(m: MemberView): boolean {
  return m.path !== null && (m.window === null || m.window.below === m.path);
}

/** Every counted member's connection is live; so no provider of R has cut this owner off, up to the time of detection (Z7). */
export function isProven(view: VolumeView, session: Session): boolean {
  return countedMembers(view, session).every(answers);
}

/** Until when the proof of the last look is good: the guard suspends after that, and nothing may end its suspend. Null: nothing has to be proven. */
export function provenUntil(view: VolumeView, input: PlanInput): number | null {
  if (countedMembers(view, input.session).length === 0) return null;
  return (input.session.seen.provenMs ?? Number.NEGATIVE_INFINITY) + input.bounds.freshGraceMs;
}

/** NQN that stands for a counted member in its guard; one without a connection can never be live. */
export function watchedNQN(m: MemberView): string {
  return m.connection?.nqn ?? `none:${m.uuid}`;
}

/** True if the guard watches this member; before that it is not recorded in sync (I10, Z16). */
export function isGuarded(view: VolumeView, m: MemberView, input: PlanInput): boolean {
  return m.local || input.promiseMs === null || view.device === null || (view.device.guarded ?? []).includes(watchedNQN(m));
}
