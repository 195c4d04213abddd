/**
 * The CustomResourceDefinitions, made from the zod schemas (volume.ts, node-device.ts). What zod cannot say is added here:
 * list types, CEL rules, bounds that CEL's cost estimate needs, printer columns, subresources.
 *
 * Both kinds have the status subresource: what a person applies cannot touch the status, and what the programs write
 * cannot touch the spec. A field that the schema does not know is dropped by the server without a word, so every field of
 * the TypeScript types must be in the schema (checked by the compiler in crd.test.ts).
 */
import * as z from "zod";
import { API_GROUP, API_VERSION } from "./names.ts";
import { deviceSpecSchema, deviceStatusSchema } from "./node-device.ts";
import { volumeSpecSchema, volumeStatusSchema } from "./volume.ts";
import { MAX_VOLUME_NAME } from "./volume-name.ts";

/** A JSON schema as the API server takes it (structural, OpenAPI v3). */
export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  required?: string[];
  minimum?: number;
  maximum?: number;
  maxItems?: number;
  maxLength?: number;
  "x-kubernetes-validations"?: CelRule[];
  "x-kubernetes-list-type"?: "atomic" | "map" | "set";
  "x-kubernetes-list-map-keys"?: string[];
  [keyword: string]: unknown;
}
export interface CelRule {
  rule: string;
  message: string;
}
export interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "date";
  jsonPath: string;
  description: string;
  /** 1: with `-o wide` only. */
  priority?: 1;
}
/** A type and not an interface: it is a manifest (an open record) to others. */
export type CustomResourceDefinition = {
  apiVersion: "apiextensions.k8s.io/v1";
  kind: "CustomResourceDefinition";
  metadata: { name: string };
  spec: {
    group: string;
    scope: "Cluster";
    names: { kind: string; listKind: string; plural: string; singular: string; shortNames: string[]; categories: string[] };
    versions: {
      name: string;
      served: true;
      storage: true;
      schema: { openAPIV3Schema: Schema };
      subresources: { status: Record<string, never>; scale?: { specReplicasPath: string; statusReplicasPath: string } };
      additionalPrinterColumns: PrinterColumn[];
    }[];
  };
};

/** Both CRDs. */
export function buildCrds(): CustomResourceDefinition[] {
  return [volumeCrd(), deviceCrd()];
}

/** The CRD of MeshStorVolume. */
export function volumeCrd(): CustomResourceDefinition {
  const schema = objectSchema("One replicated volume of MeshStor.", volumeSpec(), volumeStatus());
  schema["x-kubernetes-validations"] = [
    { rule: `self.metadata.name.size() <= ${MAX_VOLUME_NAME}`, message: `a volume's name has at most ${MAX_VOLUME_NAME} characters (device-mapper)` },
    { rule: "!has(oldSelf.status) || has(self.status)", message: "the status is the volume's record and cannot be removed" },
  ];
  const crd = definition({ kind: "MeshStorVolume", shortName: "msvol", schema, columns: VOLUME_COLUMNS });
  crd.spec.versions[0]!.subresources.scale = { specReplicasPath: ".spec.numberOfCopies", statusReplicasPath: ".status.copies" };
  return crd;
}

/** The CRD of MeshStorNodeDevice. */
export function deviceCrd(): CustomResourceDefinition {
  const status = structural(deviceStatusSchema);
  Object.assign(at(status, "holes"), { "x-kubernetes-list-type": "atomic", maxItems: 32 });
  const schema = objectSchema("One NVMe drive of one node, as MeshStor sees it.", structural(deviceSpecSchema), status);
  return definition({ kind: "MeshStorNodeDevice", shortName: "msnd", schema, columns: DEVICE_COLUMNS });
}

function volumeSpec(): Schema {
  const spec = structural(volumeSpecSchema);
  rule(at(spec, "capacityBytes"), "self % 1048576 == 0", "must be a multiple of 1 MiB (1048576)");
  rule(at(spec, "capacityBytes"), "self >= oldSelf", "a volume cannot shrink");
  rule(at(spec, "sectorSize"), "self in [512, 4096]", "must be 512 or 4096");
  for (const field of ["drivesPerCopy", "sectorSize", "volumeMode", "fsType", "requestedName"]) {
    rule(at(spec, field), "self == oldSelf", "cannot be changed on a volume that exists");
  }
  // A rule on a field does not run when the field comes or goes.
  for (const field of ["sectorSize", "requestedName"]) {
    rule(spec, `has(self.${field}) == has(oldSelf.${field})`, `${field} cannot be added to or removed from a volume that exists`);
  }
  at(spec, "requestedName").maxLength = 128;
  Object.assign(at(spec, "avoidNodes"), { "x-kubernetes-list-type": "set", maxItems: 64 });
  at(spec, "avoidNodes").items!.maxLength = 253;
  return spec;
}

/**
 * The rules here are a second line behind the protocol: the server itself refuses a record that goes back in time, whichever
 * program writes it.
 */
function volumeStatus(): Schema {
  const status = structural(volumeStatusSchema);
  const mirrors = listMap(at(status, "mirrors"), "index", 16);
  const mirror = mirrors.items!;
  rule(at(mirror, "generation"), "self >= oldSelf", "a generation never goes back (Z2)");
  rule(at(mirror, "arrayUUID"), "self == oldSelf", "a mirror keeps its array");
  rule(mirror, "self.inSync == oldSelf.inSync || self.generation > oldSelf.generation", "inSync changes only with a higher generation (Z2)");
  const inSync = at(mirror, "inSync");
  Object.assign(inSync, { "x-kubernetes-list-type": "set", maxItems: 64 });
  inSync.items!.maxLength = 64;
  listMap(at(status, "partitions"), "partitionUUID", 1024);
  listMap(at(status, "conditions"), "type", 32);
  Object.assign(at(status, "leavingNodes"), { "x-kubernetes-list-type": "atomic", maxItems: 1024 });
  for (const field of ["former", "overrides"]) Object.assign(at(status, field), { "x-kubernetes-list-type": "atomic", maxItems: 64 });
  Object.assign(at(at(status, "overrides").items!, "givenUp"), { "x-kubernetes-list-type": "atomic", maxItems: 64 });
  rule(status, "!has(oldSelf.epoch) || (has(self.epoch) && self.epoch >= oldSelf.epoch)", "an epoch never goes back (I2)");
  rule(
    status,
    "!has(self.owner) || (has(oldSelf.owner) && self.owner == oldSelf.owner) || (has(self.epoch) && (!has(oldSelf.epoch) || self.epoch > oldSelf.epoch))",
    "an owner comes only with a higher epoch (I2)",
  );
  for (const field of Object.values(at(status, "owner").properties!)) if (field.type === "string") field.maxLength = 253;
  rule(status, "!has(oldSelf.sizeBytes) || (has(self.sizeBytes) && self.sizeBytes >= oldSelf.sizeBytes)", "a volume cannot shrink");
  rule(status, "!has(oldSelf.mirrors) || (has(self.mirrors) && oldSelf.mirrors.all(o, self.mirrors.exists(m, m.index == o.index)))", "a mirror's record is never removed");
  rule(
    status,
    "!has(oldSelf.filesystem) || !has(oldSelf.filesystem.formattedAt) || (has(self.filesystem) && has(self.filesystem.formattedAt) && self.filesystem.uuid == oldSelf.filesystem.uuid)",
    "a formatted volume stays formatted (I6)",
  );
  at(at(status, "filesystem"), "uuid").maxLength = 64;
  return status;
}

/**
 * Two views are promised, and one declared list must give both: kubectl shows columns of priority 0, and with `-o wide`
 * all of them, always in this order.
 *
 *     default  PHASE MDSTATE SYNC READY DEGRADED NODE AGE
 *     wide     PHASE MDSTATE TOTAL ACTIVE FAILED DOWN SYNC AGE, then the rest
 *
 * AGE stands before READY in one and behind it in the other, which one column cannot do. So there are two: the wide view's
 * where it has always stood, and the default view's at its end (the wide view shows that one as well).
 */
const VOLUME_COLUMNS: PrinterColumn[] = [
  { name: "Phase", type: "string", jsonPath: ".status.phase", description: "What the volume is doing." },
  { name: "MDState", type: "string", jsonPath: ".status.mdState", description: "State of the MD arrays." },
  { name: "Total", type: "integer", jsonPath: ".status.totalDevices", description: "Member slots.", priority: 1 },
  { name: "Active", type: "integer", jsonPath: ".status.activeDevices", description: "Members that are active.", priority: 1 },
  { name: "Failed", type: "integer", jsonPath: ".status.failedDevices", description: "Members that failed.", priority: 1 },
  { name: "Down", type: "integer", jsonPath: ".status.downDevices", description: "Members that are missing.", priority: 1 },
  { name: "Sync", type: "string", jsonPath: ".status.syncPercentage", description: "Progress of a resync; empty at rest." },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since the volume was made.", priority: 1 },
  { name: "Ready", type: "string", jsonPath: ".status.ready", description: "Copies in sync of copies wanted." },
  { name: "Degraded", type: "integer", jsonPath: ".status.degraded", description: "Members that are wanted and not in sync." },
  { name: "Node", type: "string", jsonPath: ".status.nodeName", description: "Node where the volume is assembled." },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since the volume was made." },
];

const DEVICE_COLUMNS: PrinterColumn[] = [
  { name: "Node", type: "string", jsonPath: ".status.nodeName", description: "Node that holds the drive." },
  { name: "Model", type: "string", jsonPath: ".status.model", description: "Model of the drive." },
  { name: "Serial", type: "string", jsonPath: ".status.serial", description: "Serial number of the drive." },
  { name: "Size", type: "string", jsonPath: ".status.size", description: "Size of the drive." },
  { name: "Free", type: "string", jsonPath: ".status.free", description: "Sum of the usable holes." },
  { name: "BiggestHole", type: "string", jsonPath: ".status.biggestHole", description: "Largest usable contiguous hole." },
  { name: "SectorSize", type: "integer", jsonPath: ".status.sectorSize", description: "Logical sector size in bytes." },
  { name: "Local", type: "integer", jsonPath: ".status.localPartitions", description: "Our partitions used on this node, or by none." },
  { name: "Remote", type: "integer", jsonPath: ".status.remotePartitions", description: "Our partitions exported to another node." },
  { name: "Unknown", type: "integer", jsonPath: ".status.unknownPartitions", description: "Partitions that are not ours." },
  { name: "Device", type: "string", jsonPath: ".status.device", description: "Kernel name at the moment.", priority: 1 },
  { name: "Use", type: "string", jsonPath: ".spec.use", description: "What the drive is given to us for.", priority: 1 },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since the drive was first seen.", priority: 1 },
  // Last, because it can be a sentence.
  { name: "Health", type: "string", jsonPath: ".status.health", description: "Usable, or why the drive is not used." },
];

function definition(of: { kind: string; shortName: string; schema: Schema; columns: PrinterColumn[] }): CustomResourceDefinition {
  const singular = of.kind.toLowerCase();
  const plural = `${singular}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${API_GROUP}` },
    spec: {
      group: API_GROUP,
      scope: "Cluster",
      names: { kind: of.kind, listKind: `${of.kind}List`, plural, singular, shortNames: [of.shortName], categories: ["meshstor"] },
      versions: [
        {
          name: API_VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: of.schema },
          subresources: { status: {} },
          additionalPrinterColumns: of.columns,
        },
      ],
    },
  };
}

function objectSchema(description: string, spec: Schema, status: Schema): Schema {
  const properties = { apiVersion: { type: "string" }, kind: { type: "string" }, metadata: { type: "object" }, spec, status };
  return { type: "object", description, required: ["spec"], properties };
}

/** A zod schema as a structural one. Integers are int64; zod's bounds of what JavaScript can hold say nothing and go. */
function structural(schema: z.ZodType): Schema {
  const made = z.toJSONSchema(schema, { target: "openapi-3.0", io: "input", reused: "inline" }) as Schema;
  tidy(made);
  return made;
}

function tidy(schema: Schema): void {
  delete schema.$schema;
  delete schema.additionalProperties;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.type === "integer") schema.format = "int64";
  for (const property of Object.values(schema.properties ?? {})) tidy(property);
  if (schema.items) tidy(schema.items);
}

function at(schema: Schema, property: string): Schema {
  const found = schema.properties?.[property];
  if (!found) throw new Error(`the schema has no property ${property}`);
  return found;
}

function rule(schema: Schema, text: string, message: string): void {
  (schema["x-kubernetes-validations"] ??= []).push({ rule: text, message });
}

/** A list whose items are known by a key: server-side apply and CEL follow an item, not its position. */
function listMap(list: Schema, key: string, maxItems: number): Schema {
  return Object.assign(list, { "x-kubernetes-list-type": "map" as const, "x-kubernetes-list-map-keys": [key], maxItems });
}
