/** docs/reference/bounds.md: the numbers in it are the constants of the code. */
import { LOSS_POLL_MS } from "../../src/agent/loss-watch.ts";
import { TICK_MS } from "../../src/agent/volumes.ts";
import { MAX_COPIES, MAX_DRIVES_PER_COPY } from "../../src/api/parameters.ts";
import { LABEL_AREA, MD_DATA_OFFSET } from "../../src/base/layout.ts";
import { FRESH_MS } from "../../src/controller/heartbeats.ts";
import { ABANDONED_MS } from "../../src/controller/reconcile.ts";
import { HEALING_LIMITS } from "../../src/core/healing/limits.ts";
import { BOUNDS, boundsOf, DETECT_MS, KEEP_ALIVE_S, promiseOf } from "../../src/core/bounds.ts";
import { bitmapChunk, START_WAIT_MS } from "../../src/core/plan-start.ts";
import { STRIPE_CHUNK } from "../../src/host/dm/table.ts";
import { FILE_DEADLINE_MS } from "../../src/host/files.ts";
import { IO_TIMEOUT_MS, RECONNECT_DELAY_S } from "../../src/host/nvme/connect.ts";
import { LANE_LIMIT, STRANDED_LIMIT } from "../../src/host/stranded.ts";
import { ELECTION_TIMES } from "../../src/kube/leader.ts";
import { LEASE_INTERVAL_MS } from "../../src/kube/lease.ts";
import { GENERATED, table } from "./markdown.ts";

const MiB = 1024 ** 2;
const s = (ms: number) => `${ms / 1000} s`;

const bound = (name: keyof typeof BOUNDS) => `${s(BOUNDS[name].defaultMs)} (at least ${s(BOUNDS[name].minMs)})`;

const TIMES: string[][] = [
  ["A connection is dead: noticed by the kernel", `at most 2 × ${KEEP_ALIVE_S} s`, "NVMe keep-alive of the imports; the keep-alive restarts with traffic, hence twice (Z7)"],
  ["A provider answers keep-alives but no I/O", s(IO_TIMEOUT_MS), "`io_timeout` of an imported namespace; the kernel then resets the controller, which is a loss"],
  ["The kernel's news noticed by the agent", s(LOSS_POLL_MS), "one sysfs attribute per connection and array in use"],
  ["The kernel connects again by itself", `not within ${Math.floor(RECONNECT_DELAY_S / 86_400)} days`, "a connection is used once"],
  [
    "The other controller leads",
    `${s(ELECTION_TIMES.everyMs)} after the first one gave up; ${s(ELECTION_TIMES.takenMs + ELECTION_TIMES.everyMs)} after it died`,
    "it leads no longer once it could not renew for " + s(ELECTION_TIMES.leadsMs),
  ],
  ["A volume looked at although nothing changed", s(TICK_MS), "the reconcile tick"],
  ["A start waits for a recorded member before it goes on without it", s(START_WAIT_MS), "after recording it out (I3)"],
  [
    "An owner without proof that it is still the owner suspends its volume",
    bound("freshGraceMs"),
    "`freshGrace`: counted from the last moment when every connection to a member of R was live (I10)",
  ],
  ["Polls, the suspend command, clocks of different rates", bound("fenceMarginMs"), "`fenceMargin`: added to what an owner promises"],
  [
    "A silent owner that was cut off is waited for",
    s(promiseOf(boundsOf())),
    `what it promised in the record: ${s(DETECT_MS)} detection, grace and margin; nothing if it is declared dead or says that it has stopped (I10)`,
  ],
  ["A node counts as silent", bound("leaseGoneMs"), "`leaseGone`: its heartbeat was watched for so long without a change or a gap, on the observer's own clock"],
  ["A volume that shall be unstaged and is held is stopped by force", bound("unstageHeldMs"), "`unstageHeld` (I8, I4)"],
  ["A member of R that MD failed is not recorded out: the volume is suspended until it is", bound("residualMs"), "`residual` (I1)"],
  ["A drive of this node has requests of a volume under way and completes none: it is said, with the drive's name", bound("silentDriveMs"), "`silentDrive` (Z21)"],
  ["A small kernel file (sysfs, configfs) that does not answer", s(FILE_DEADLINE_MS), "the access is counted as stranded"],
  ["A node's heartbeat", s(LEASE_INTERVAL_MS), "a Lease in the namespace `meshstor`"],
  ["A silent node takes no new copies after", s(FRESH_MS), "measured on the controller's own clock since the lease last changed"],
  ["A half-made volume that nobody asks for is collected after", `${ABANDONED_MS / 60_000} min`, "only if CreateVolume was never answered"],
];

const limit = (name: keyof typeof HEALING_LIMITS, say: (n: number) => string = String) => `${say(HEALING_LIMITS[name].default)} (at least ${say(HEALING_LIMITS[name].min)})`;

const REPLACEMENT: string[][] = [
  ["A member is missing, and is given up", "`memberMissingTimeout` of the volume", "by the record's time stamp"],
  ["… and the controller has seen it missing for", limit("seenMissingMs", s), "`seenMissing`: on its monotonic clock; the time-out if that is shorter"],
  ["A member is made and does not join, although its node is there", limit("neverJoinedMs", s), "`neverJoined`: the volume's time-out if that is longer"],
  ["Given up, and its node and drive are there again: it may return for", limit("returnGraceMs", s), "`returnGrace`"],
  ["A rebuild into a member begins and is lost, until it is given up", limit("maxFailedJoins"), "`maxFailedJoins`"],
  ["Share of nodes away above which nothing is replaced", limit("maxNodesAway", (n) => `${Math.round(100 * n)} %`), "`maxNodesAway`: one of three may be away"],
  ["Rebuilds at a time, for a node that gets a copy or is the owner that copies", limit("maxRebuildsPerNode"), "`maxRebuildsPerNode`"],
  ["A volume of which something is missing is looked at", "every 5 s", "and when a node or a drive changes"],
];

const SIZES: string[][] = [
  ["Volume", "512 MiB to 1 PiB, in whole MiB", ""],
  ["Copies", `1 to ${MAX_COPIES}`, "each on a node of its own"],
  ["Drives per copy", `1 to ${MAX_DRIVES_PER_COPY}`, "each a drive of its own"],
  [
    "Partition beyond its share of the volume",
    `${(LABEL_AREA + MD_DATA_OFFSET) / MiB} MiB`,
    `${LABEL_AREA / MiB} MiB label area, ${MD_DATA_OFFSET / MiB} MiB for MD's superblock and bitmap`,
  ],
  [
    "Write-intent chunk",
    `${bitmapChunk(512 * MiB) / MiB} MiB at 512 MiB, ${bitmapChunk(2 * 1024 * MiB) / MiB} MiB at 2 GiB, ${bitmapChunk(1024 ** 4) / MiB} MiB from 8 GiB on (per mirror)`,
    "the least that a returning member copies",
  ],
  ["Stripe chunk", `${STRIPE_CHUNK / 1024} KiB`, "with more than one drive per copy"],
  [
    "Host commands that hang and cannot be killed",
    `${LANE_LIMIT} for one drive or connection, ${STRANDED_LIMIT} in all`,
    "then new ones are refused, except those that release something",
  ],
];

export function boundsPage(): string {
  return `# Bounds

${GENERATED("the constants of the code (tools/docs/bounds.ts)")}

Everything that waits ends, and says what it waited for. These are the numbers behind it.

## Times

${table(["What", "Bound", "Why, or where it comes from"], TIMES)}

From a provider's sudden end to the volume's going on: at most 2 × ${KEEP_ALIVE_S} s and ${s(LOSS_POLL_MS)} to see it, then one write to the Kubernetes API, one label
write per survivor, and one ioctl. Without the API server the last part waits until it answers: writes stay held, reads go on.

## Replacement

${table(["What", "Bound", ""], REPLACEMENT)}

## Sizes and counts

${table(["What", "Bound", ""], SIZES)}
`;
}
