import assert from "node:assert/strict";
import { test } from "node:test";
import { mirror, ownerOf, partition, volume } from "../core/testing/builders.ts";
import type { EventToTell } from "../kube/events.ts";
import { Teller } from "./teller.ts";

test("a change is told once, of this very volume; what was there before the controller looked is no change", () => {
  const told: string[] = [];
  const teller = new Teller({ tell: (event: EventToTell) => void told.push(`${event.reason} of ${event.regarding.name}`) });
  const missing = { owner: ownerOf("a"), mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })] };
  const given = { ...missing, partitions: [partition("a"), partition("b", { state: "Faulty" }), partition("c", { state: "Requested" })] };
  const another = volume(given, {}, { uid: "another" });
  teller.saw("pvc-1", volume(missing));
  teller.saw("pvc-1", volume(given));
  teller.saw("pvc-1", volume(given));
  teller.saw("pvc-1", volume(missing));
  teller.saw("pvc-1", another);
  teller.saw("pvc-1", null);
  teller.saw("pvc-1", volume(given));
  assert.deepEqual(told, ["CopyFaulty of pvc-1", "CopyPlaced of pvc-1"]);
});
