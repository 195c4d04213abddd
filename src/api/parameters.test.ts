import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MeshStorError } from "../base/errors.ts";
import { parseMutableParameters, parseParameters } from "./parameters.ts";

function refusal(parse: () => unknown): { code: string; message: string } {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof MeshStorError);
    return { code: error.code, message: error.message };
  }
  throw new Error("was not refused");
}
const refused = (parameters: Record<string, string>) => refusal(() => parseParameters(parameters));

describe("StorageClass parameters", () => {
  test("defaults", () => {
    assert.deepEqual(parseParameters({}), { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 });
  });

  test("the StorageClass of the front page", () => {
    assert.deepEqual(parseParameters({ numberOfCopies: "2", drivesPerCopy: "1" }), { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 });
  });

  test("everything set, in the other spelling", () => {
    const parameters = { replicaCount: "3", stripeWidth: "2", memberMissingTimeout: "60", sectorSize: "4096" };
    assert.deepEqual(parseParameters(parameters), { numberOfCopies: 3, drivesPerCopy: 2, memberMissingTimeout: 60, sectorSize: 4096 });
  });

  test("what the provisioner adds is left alone", () => {
    const parameters = { "csi.storage.k8s.io/pvc/name": "data", "csi.storage.k8s.io/fstype": "xfs" };
    assert.deepEqual(parseParameters(parameters), { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 });
  });

  test("two spellings that agree, and two that do not", () => {
    assert.equal(parseParameters({ numberOfCopies: "3", replicaCount: "3" }).numberOfCopies, 3);
    assert.deepEqual(refused({ numberOfCopies: "3", replicaCount: "2" }), {
      code: "InvalidParameter",
      message: "StorageClass parameters numberOfCopies and replicaCount are two spellings of one thing but differ: 3 and 2.",
    });
    assert.deepEqual(refused({ stripeWidth: "1", drivesPerCopy: "2" }), {
      code: "InvalidParameter",
      message: "StorageClass parameters stripeWidth and drivesPerCopy are two spellings of one thing but differ: 1 and 2.",
    });
  });

  test("an unknown parameter is named with its value", () => {
    assert.deepEqual(refused({ numberOfCopys: "3" }), {
      code: "InvalidParameter",
      message:
        'StorageClass parameter "numberOfCopys" (value "3") is not known; known are numberOfCopies, replicaCount, drivesPerCopy, stripeWidth, memberMissingTimeout, sectorSize.',
    });
  });

  for (const key of ["__proto__", "constructor", "toString", "CSI.storage.k8s.io/x", "numberofcopies", ""]) {
    test(`key ${JSON.stringify(key)} is unknown`, () => {
      const { code, message } = refused(Object.fromEntries([[key, "1"]]));
      assert.equal(code, "InvalidParameter");
      assert.ok(message.startsWith(`StorageClass parameter ${JSON.stringify(key)} (value "1") is not known`), message);
    });
  }

  const bad: [string, string, string][] = [
    ["numberOfCopies", "0", "a whole number from 1 to 16"],
    ["replicaCount", "17", "a whole number from 1 to 16"],
    ["drivesPerCopy", "1.5", "a whole number from 1 to 16"],
    ["stripeWidth", "0x2", "a whole number from 1 to 16"],
    ["numberOfCopies", "٣", "a whole number from 1 to 16"],
    ["numberOfCopies", "", "a whole number from 1 to 16"],
    ["memberMissingTimeout", "59", "a whole number from 60 to 2147483647"],
    ["memberMissingTimeout", "15m", "a whole number from 60 to 2147483647"],
    ["memberMissingTimeout", "99999999999999999999", "a whole number from 60 to 2147483647"],
    ["sectorSize", "1024", "512 or 4096"],
    ["sectorSize", "4k", "512 or 4096"],
  ];
  for (const [key, value, mustBe] of bad) {
    test(`${key}=${JSON.stringify(value)} is refused`, () => {
      assert.deepEqual(refused({ [key]: value }), { code: "InvalidParameter", message: `StorageClass parameter ${key} is ${JSON.stringify(value)}: it must be ${mustBe}.` });
    });
  }

  test("property: a text is a number of copies exactly if it is 1 to 16 in digits", () => {
    const texts = fc.oneof(fc.string(), fc.integer({ min: -20, max: 40 }).map(String), fc.stringMatching(/^[ +-]?[0-9]{1,3}[ .e]?[0-9]?$/));
    fc.assert(
      fc.property(texts, fc.constantFrom("numberOfCopies", "replicaCount"), (value, key) => {
        const good = /^0*([1-9]|1[0-6])$/.test(value);
        if (good) assert.equal(parseParameters({ [key]: value }).numberOfCopies, Number(value));
        else assert.equal(refused({ [key]: value }).message, `StorageClass parameter ${key} is ${JSON.stringify(value)}: it must be a whole number from 1 to 16.`);
      }),
    );
  });

  test("property: whatever is given, the answer is complete or a refusal that names the key", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("numberOfCopies", "stripeWidth", "sectorSize")), fc.string()), (parameters) => {
        let message = "";
        try {
          const values = parseParameters(parameters);
          assert.ok(values.numberOfCopies >= 1 && values.drivesPerCopy >= 1 && values.memberMissingTimeout >= 60);
          return;
        } catch (error) {
          assert.ok(error instanceof MeshStorError && error.code === "InvalidParameter", String(error));
          message = error.message;
        }
        assert.ok(
          Object.keys(parameters).some((key) => message.includes(key) || message.includes(JSON.stringify(key).slice(0, 40))),
          message,
        );
      }),
    );
  });
});

describe("VolumeAttributesClass parameters", () => {
  test("only what is given", () => {
    assert.deepEqual(parseMutableParameters({}), {});
    assert.deepEqual(parseMutableParameters({ replicaCount: "3" }), { numberOfCopies: 3 });
    assert.deepEqual(parseMutableParameters({ numberOfCopies: "1", memberMissingTimeout: "3600" }), { numberOfCopies: 1, memberMissingTimeout: 3600 });
  });

  test("what cannot be changed is refused", () => {
    assert.deepEqual(
      refusal(() => parseMutableParameters({ stripeWidth: "2" })),
      {
        code: "InvalidParameter",
        message: "VolumeAttributesClass parameter drivesPerCopy cannot be changed on a volume that exists.",
      },
    );
    assert.equal(refusal(() => parseMutableParameters({ iops: "100" })).code, "InvalidParameter");
  });
});
