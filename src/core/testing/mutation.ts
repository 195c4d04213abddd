/** How a test makes the protocol, or a kernel under it, deliberately wrong. */
import type { Plan, PlanInput } from "../plan-types.ts";

export interface Wrong {
  /** Changes what the planner is given, or what it answers. */
  input?: (input: PlanInput) => PlanInput;
  plan?: (plan: Plan) => Plan;
  /** A guard that sees nothing. */
  blindGuard?: boolean;
  /** Users who are killed and live on, above a filesystem that is not shut down. */
  immortalUsers?: boolean;
  /** A re-add that trusts the array's bitmap alone (E14). */
  bareReAdd?: boolean;
}
