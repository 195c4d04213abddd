import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type * as z from "zod";
import { buildCrds, type Schema } from "./crd.ts";
import { deviceSizeTexts, type deviceSpecSchema, type deviceStatusSchema, type MeshStorNodeDevice } from "./node-device.ts";
import type { MeshStorVolume, volumeSpecSchema, volumeStatusSchema } from "./volume.ts";

/**
 * Compile-time proof that the schemas and the hand-written types name the same fields: what the schema does not know, the
 * server drops without a word. (Optional in zod means `| undefined`, hence the Required and NonNullable.)
 */
type Deep<T> = T extends (infer I)[] ? Deep<I>[] : T extends object ? { [K in keyof Required<T>]: Deep<NonNullable<T[K]>> } : T;
type Same<A, B> = [Deep<A>] extends [Deep<B>] ? ([Deep<B>] extends [Deep<A>] ? true : false) : false;
const same: [
  Same<z.output<typeof volumeSpecSchema>, MeshStorVolume["spec"]>,
  Same<z.output<typeof volumeStatusSchema>, NonNullable<MeshStorVolume["status"]>>,
  Same<z.output<typeof deviceSpecSchema>, MeshStorNodeDevice["spec"]>,
  Same<z.output<typeof deviceStatusSchema>, NonNullable<MeshStorNodeDevice["status"]>>,
] = [true, true, true, true];
void same;

function everySchema(schema: Schema, path = ""): [string, Schema][] {
  const properties = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => everySchema(inner, `${path}.${name}`));
  return [[path, schema], ...properties, ...(schema.items ? everySchema(schema.items, `${path}[]`) : [])];
}
const crds = buildCrds();
const schemaOf = (index: number): Schema => crds[index]!.spec.versions[0]!.schema.openAPIV3Schema;

describe("CRDs", () => {
  test("names", () => {
    assert.deepEqual(
      crds.map((crd) => [crd.metadata.name, crd.spec.names, crd.spec.scope]),
      [
        [
          "meshstorvolumes.csi.meshstor.io",
          { kind: "MeshStorVolume", listKind: "MeshStorVolumeList", plural: "meshstorvolumes", singular: "meshstorvolume", shortNames: ["msvol"], categories: ["meshstor"] },
          "Cluster",
        ],
        [
          "meshstornodedevices.csi.meshstor.io",
          {
            kind: "MeshStorNodeDevice",
            listKind: "MeshStorNodeDeviceList",
            plural: "meshstornodedevices",
            singular: "meshstornodedevice",
            shortNames: ["msnd"],
            categories: ["meshstor"],
          },
          "Cluster",
        ],
      ],
    );
  });

  test("columns of the two views of msvol", () => {
    const columns = crds[0]!.spec.versions[0]!.additionalPrinterColumns;
    const heading = (some: typeof columns) => some.map((column) => column.name.toUpperCase()).join(" ");
    assert.equal(heading(columns.filter((column) => column.priority === undefined)), "PHASE MDSTATE SYNC READY DEGRADED NODE AGE");
    assert.equal(heading(columns), "PHASE MDSTATE TOTAL ACTIVE FAILED DOWN SYNC AGE READY DEGRADED NODE AGE");
  });

  test("every column shows a field that there is", () => {
    for (const crd of crds) {
      const version = crd.spec.versions[0]!;
      const paths = new Set([".metadata.creationTimestamp", ...everySchema(version.schema.openAPIV3Schema).map(([path]) => path)]);
      const columns = version.additionalPrinterColumns.map((column) => column.jsonPath);
      const scale = version.subresources.scale;
      assert.deepEqual(
        [...columns, ...(scale ? [scale.specReplicasPath, scale.statusReplicasPath] : [])].filter((path) => !paths.has(path)),
        [],
      );
    }
  });

  test("every schema is structural: a type, and nothing that the API server refuses", () => {
    for (const [path, schema] of crds.flatMap((_, index) => everySchema(schemaOf(index)))) {
      assert.equal(typeof schema.type, "string", path);
      for (const keyword of ["$ref", "$schema", "anyOf", "oneOf", "const", "additionalProperties", "patternProperties"]) assert.ok(!(keyword in schema), `${path} has ${keyword}`);
      if (schema.type === "array") assert.ok(schema["x-kubernetes-list-type"] && schema.maxItems, `${path} has no list type or bound`);
    }
  });

  test("lists", () => {
    const lists = everySchema(schemaOf(0)).filter(([, schema]) => schema.type === "array");
    assert.deepEqual(
      lists.map(([path, schema]) => [path, schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]]),
      [
        [".spec.avoidNodes", "set", undefined],
        [".status.former", "atomic", undefined],
        [".status.overrides", "atomic", undefined],
        [".status.overrides[].givenUp", "atomic", undefined],
        [".status.mirrors", "map", ["index"]],
        [".status.mirrors[].inSync", "set", undefined],
        [".status.partitions", "map", ["partitionUUID"]],
        [".status.leavingNodes", "atomic", undefined],
        [".status.conditions", "map", ["type"]],
      ],
    );
  });
});

test("sizes for people", () => {
  assert.deepEqual(deviceSizeTexts({ sizeBytes: 960_197_124_096, freeBytes: 0, biggestHoleBytes: 1024 ** 4 }), { size: "894.3GiB", free: "0B", biggestHole: "1TiB" });
});
