/**
 * docs/reference/bad-input.md: one gRPC status per bad input. Rows that a pure check decides are tried
 * out when the page is generated or checked, so the page cannot say anything else than the code does.
 */
import { create } from "@bufbuild/protobuf";
import { parseMutableParameters, parseParameters } from "../../src/api/parameters.ts";
import { volumeNameFor } from "../../src/api/volume-name.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { asMeshStorError, ERRORS } from "../../src/base/errors.ts";
import { checkCapability } from "../../src/csi/capabilities.ts";
import { checkApart, checkPage, checkPath, checkSize, checkVolumeID } from "../../src/csi/checks.ts";
import { CapacityRangeSchema, VolumeCapability_AccessMode_Mode as Mode, VolumeCapabilitySchema } from "../../src/csi/gen/csi_pb.ts";
import type { DriveTable } from "../../src/core/observed.ts";
import { unusableReason } from "../../src/core/gpt-fit.ts";
import { GENERATED, table } from "./markdown.ts";

interface Row {
  call: string;
  input: string;
  code: ErrorCode;
  /** Must throw `code`; without it the row needs a cluster and is proven by tests. */
  attempt?: () => void;
}

const MiB = 1024 ** 2;
const parameters = (given: Record<string, string>) => () => void parseParameters(given);
const size =
  (required: bigint, limit = 0n) =>
  () =>
    void checkSize(create(CapacityRangeSchema, { requiredBytes: required, limitBytes: limit }));
const name = (given: string) => () => void volumeNameFor(given);
const staging = (path: string) => () => void checkPath("staging_target_path", path);
const mount =
  (mode: Mode, fsType = "xfs", mountFlags: string[] = []) =>
  () =>
    void checkCapability(create(VolumeCapabilitySchema, { accessMode: { mode }, accessType: { case: "mount", value: { fsType, mountFlags } } }), "volume_capability");
const PARAMETERS: Row[] = [
  ...["0", "-1", "two", "99", "1.5", ""].map((v): Row => ({
    call: "CreateVolume",
    input: `\`numberOfCopies\` (\`replicaCount\`) is \`"${v}"\``,
    code: "InvalidParameter",
    attempt: parameters({ numberOfCopies: v }),
  })),
  { call: "CreateVolume", input: '`drivesPerCopy` (`stripeWidth`) is `"0"` or `"17"`', code: "InvalidParameter", attempt: parameters({ stripeWidth: "17" }) },
  { call: "CreateVolume", input: '`memberMissingTimeout` is `"59"`', code: "InvalidParameter", attempt: parameters({ memberMissingTimeout: "59" }) },
  { call: "CreateVolume", input: '`sectorSize` is `"1024"`', code: "InvalidParameter", attempt: parameters({ sectorSize: "1024" }) },
  {
    call: "CreateVolume",
    input: "`numberOfCopies` and `replicaCount` with different values",
    code: "InvalidParameter",
    attempt: parameters({ numberOfCopies: "2", replicaCount: "3" }),
  },
  { call: "CreateVolume", input: "a parameter that is not known", code: "InvalidParameter", attempt: parameters({ numberOfCopys: "2" }) },
  {
    call: "CreateVolume, ControllerModifyVolume",
    input: "`mutable_parameters` with a key that is not known, or cannot be changed",
    code: "InvalidParameter",
    attempt: () => void parseMutableParameters({ sectorSize: "512" }),
  },
  { call: "ControllerModifyVolume", input: "no `mutable_parameters`", code: "InvalidParameter" },
];

const SIZES: Row[] = [
  { call: "CreateVolume", input: "511 MiB", code: "SizeOutOfRange", attempt: size(511n * BigInt(MiB)) },
  { call: "CreateVolume", input: "a limit below the request", code: "SizeOutOfRange", attempt: size(1024n * BigInt(MiB), 600n * BigInt(MiB)) },
  { call: "CreateVolume", input: "a negative size, or one beyond 2^53 bytes", code: "SizeOutOfRange", attempt: size(-1n) },
  { call: "CreateVolume", input: "no whole MiB between request and limit", code: "SizeOutOfRange", attempt: size(512n * BigInt(MiB) + 1n, 512n * BigInt(MiB) + 2n) },
  { call: "CreateVolume", input: "a size beyond every drive", code: "NoCapacity" },
  { call: "CreateVolume", input: "more copies than nodes that could hold one", code: "NotEnoughNodes" },
  { call: "CreateVolume", input: "stripes wider than any node has suitable drives", code: "NotEnoughNodes" },
];

const NAMES: Row[] = [
  ...["", "../x", 'a"b', "a\nb"].map((n): Row => ({
    call: "CreateVolume",
    input: n === "" ? "no name" : `the name \`${JSON.stringify(n)}\``,
    code: "InvalidName",
    attempt: name(n),
  })),
  { call: "CreateVolume", input: "a name of 300 characters", code: "InvalidName", attempt: name("x".repeat(300)) },
  { call: "CreateVolume", input: "a name that exists with other parameters or another size", code: "VolumeIncompatible" },
  { call: "CreateVolume", input: "`volume_content_source`", code: "UnsupportedCapability" },
  { call: "every call with a volume id", input: "no volume id", code: "InvalidParameter", attempt: () => void checkVolumeID("") },
  {
    call: "every call with a volume id, except DeleteVolume",
    input: "an id that does not exist or cannot be ours, such as `../x`",
    code: "VolumeNotFound",
    attempt: () => void checkVolumeID("../x"),
  },
  { call: "DeleteVolume", input: "a volume that a node has staged", code: "VolumeInUse" },
  { call: "ListVolumes", input: "a starting token that is not ours", code: "BadPageToken", attempt: () => void checkPage(0, "page 2") },
];

const CAPABILITIES: Row[] = [
  {
    call: "CreateVolume, NodeStageVolume, NodePublishVolume",
    input: "an access mode for more than one node",
    code: "UnsupportedCapability",
    attempt: mount(Mode.MULTI_NODE_MULTI_WRITER),
  },
  { call: "the same", input: "`SINGLE_NODE_READER_ONLY`", code: "UnsupportedCapability", attempt: mount(Mode.SINGLE_NODE_READER_ONLY) },
  { call: "the same", input: "a filesystem other than XFS and ext4", code: "UnsupportedCapability", attempt: mount(Mode.SINGLE_NODE_WRITER, "btrfs") },
  {
    call: "the same",
    input: "a mount flag that changes what is mounted, such as `bind` or `norecovery`",
    code: "UnsupportedCapability",
    attempt: mount(Mode.SINGLE_NODE_WRITER, "xfs", ["norecovery"]),
  },
  { call: "CreateVolume", input: "capabilities of both volume modes, or of two filesystems", code: "InvalidParameter" },
  { call: "NodeStageVolume, NodePublishVolume", input: "another volume mode or filesystem than the volume's", code: "InvalidParameter" },
  { call: "the same", input: "no capability, or one without access mode or type", code: "InvalidParameter", attempt: () => void checkCapability(undefined, "volume_capability") },
];

const PATHS: Row[] = [
  { call: "Node calls", input: "a path that is missing or relative", code: "InvalidParameter", attempt: staging("var/lib/x") },
  { call: "Node calls", input: "a path with `.`, `..`, a control character, or longer than 4095 bytes", code: "InvalidParameter", attempt: staging("/var/../etc") },
  {
    call: "NodePublishVolume",
    input: "target and staging path the same, or one inside the other",
    code: "InvalidParameter",
    attempt: () => checkApart({ field: "target_path", path: "/a/b" }, { field: "staging_target_path", path: "/a" }),
  },
  { call: "NodeStageVolume, NodePublishVolume", input: "a path that is a file, or, for a raw block volume's target, a directory", code: "TargetInUse" },
  { call: "NodeStageVolume, NodePublishVolume", input: "a path that another volume or filesystem is mounted at", code: "TargetInUse" },
  { call: "NodePublishVolume", input: "a volume that is not staged, or no staging path", code: "NotStaged" },
  { call: "NodeStageVolume", input: "a volume that another node has staged", code: "VolumeInUse" },
];

const SECTIONS: readonly [string, Row[]][] = [
  ["Parameters", PARAMETERS],
  ["Sizes and places", SIZES],
  ["Names and ids", NAMES],
  ["Capabilities", CAPABILITIES],
  ["Paths", PATHS],
];

const drive = (facts: Partial<DriveTable>): DriveTable => ({
  drive: "S1:1",
  label: "gpt",
  firstUsableByte: 0,
  lastUsableByte: 0,
  entries: [],
  maxEntries: 128,
  signature: null,
  usedBy: null,
  ...facts,
});

/** Drives that are not used, each with what its msnd says. */
const DRIVES: readonly (readonly [string, string | null])[] = [
  ["without a partition table", unusableReason(drive({ label: "none" }), false, "Auto")],
  ["with an MBR", unusableReason(drive({ label: "dos" }), false, "Auto")],
  ["mounted, or in LVM or MD as a whole", unusableReason(drive({ usedBy: "*by what*" }), false, "Auto")],
  ["with a filesystem, LVM or MD signature on the whole drive", unusableReason(drive({ label: "none", signature: "*what*" }), false, "Auto")],
  ["read-only", unusableReason(drive({}), true, "Auto")],
  ["excluded by an administrator", unusableReason(drive({}), false, "Exclude")],
  ["pulled", "Gone"],
];

/** Throws if the code refuses an input differently from what its row says. */
function cells(row: Row): string[] {
  const found = row.attempt ? codeOf(row.attempt) : row.code;
  if (found !== row.code) throw new Error(`${row.call}, ${row.input}: the code says ${found}, tools/docs/bad-input.ts says ${row.code}`);
  return [row.call, row.input, ERRORS[row.code].grpc, `\`${row.code}\``];
}

function codeOf(attempt: () => void): string {
  try {
    attempt();
    return "nothing (it is accepted)";
  } catch (error) {
    return asMeshStorError(error).code;
  }
}

export function badInputPage(): string {
  const sections = SECTIONS.map(([title, rows]) => `## ${title}\n\n${table(["Call", "Input", "gRPC status", "Code"], rows.map(cells))}`);
  return `# Bad input

${GENERATED("tools/docs/bad-input.ts")}

What a CSI call answers to input that cannot be served. Each answer carries one sentence that names the field and its value; nothing is left
behind. [errors.md](errors.md) says what the codes mean. DeleteVolume, NodeUnstageVolume and NodeUnpublishVolume of a volume that does not exist succeed.

${sections.join("\n\n")}

## Drives

A drive that cannot be used is no error of a call: it takes no copies, and its msnd says why in \`HEALTH\`.

${table(
  ["Drive", "`HEALTH`"],
  DRIVES.map(([what, health]) => [what, health ?? "Usable"]),
)}
`;
}
