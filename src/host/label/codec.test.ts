import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Label } from "./codec.ts";
import { encodeLabel, LABEL_BYTES, parseLabel } from "./codec.ts";
import { mayStamp } from "./rules.ts";

const label: Label = { v: 1, volume: "0b7c4c5e-1111-4222-8333-944444444444", member: "11111111-aaaa-4bbb-8ccc-000000000001", mirror: 0, epoch: 7, generation: 12 };
const labels = fc.record(
  { v: fc.constant(1 as const), volume: fc.uuid(), member: fc.uuid(), mirror: fc.nat(15), epoch: fc.maxSafeNat(), generation: fc.maxSafeNat() },
  { noNullPrototype: true },
);

test("a label reads back as it was written, and fits one sector", () => {
  fc.assert(
    fc.property(labels, (given) => {
      const block = encodeLabel(given);
      assert.equal(block.length, LABEL_BYTES);
      assert.ok(block.subarray(512).every((byte) => byte === 0));
      assert.deepEqual(parseLabel(block), { kind: "label", label: given });
    }),
  );
});

test("a blank block is blank", () => {
  assert.deepEqual(parseLabel(Buffer.alloc(LABEL_BYTES)), { kind: "blank" });
});

test("any one changed byte of a label's text is noticed", () => {
  const block = encodeLabel(label);
  const length = block.indexOf(0);
  fc.assert(
    fc.property(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(block);
      changed[at] = changed[at]! ^ change;
      assert.equal(parseLabel(changed).kind, "unreadable");
    }),
  );
});

test("no block of bytes makes the parser throw", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 0, maxLength: 600 }), (bytes) => void parseLabel(Buffer.from(bytes))));
});

test("what may be written over what", () => {
  const over = (found: Partial<Label>, next: Partial<Label>, atStart: boolean) =>
    mayStamp({ kind: "label", label: { ...label, ...found } }, { ...label, ...next }, atStart)?.code ?? null;
  const table = [
    over({}, { epoch: 8, generation: 1 }, true),
    over({}, {}, true),
    over({ epoch: 9 }, {}, true),
    over({}, { generation: 13 }, false),
    over({}, {}, false),
    over({ generation: 13 }, {}, false),
    over({ epoch: 9, generation: 1 }, {}, false),
    over({ volume: "another" }, { epoch: 8 }, true),
    over({ member: "another" }, { epoch: 8 }, true),
    over({ mirror: 1 }, { epoch: 8 }, true),
    mayStamp({ kind: "blank" }, label, true),
    mayStamp({ kind: "unreadable", reason: "?" }, label, true)?.code,
  ];
  const older = "RecordOlderThanLabel";
  const foreign = "ForeignContent";
  assert.deepEqual(table, [null, older, older, null, null, older, older, foreign, foreign, foreign, null, foreign]);
});
