/** What waits in a guest's kernel: for the error of a test that waited in vain. */
import type { Guest } from "../guest/guest.ts";

/** Programs and kernel threads in uninterruptible sleep, device-mapper's suspended devices; the stacks (sysrq w) go to the guest's console. */
const LOOK = `set +e
echo w > /proc/sysrq-trigger
for task in /proc/[0-9]*/task/[0-9]*; do
  state=$(sed -n 's/^State:\\t//p' $task/status 2>/dev/null)
  case $state in D*) echo "$(cat $task/comm) in $(cat $task/wchan)";; esac
done
dmsetup info -c --noheadings -o name,suspended 2>/dev/null | grep Suspended
true`;

/** One sentence, also if the guest does not answer. */
export async function blockedTasks(guest: Guest): Promise<string> {
  try {
    const found = (await guest.sh(LOOK, { timeoutMs: 20_000 })).trim().split("\n").join(", ");
    return `blocked in guest ${guest.name}: ${found || "nothing"}`;
  } catch (error) {
    return `guest ${guest.name} does not say what is blocked: ${error instanceof Error ? error.message : String(error)}`;
  }
}
