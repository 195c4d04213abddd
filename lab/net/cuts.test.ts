import assert from "node:assert/strict";
import { test } from "node:test";
import { HOST_END, rulesetOf } from "./cuts.ts";

test("a cut between guests drops what the bridge forwards, in its direction only", () => {
  const rules = rulesetOf([{ from: "st1", to: "st2" }]);
  assert.match(rules, /chain forward \{[^}]*iifname "st1" oifname "st2" counter drop/);
  assert.doesNotMatch(rules, /iifname "st2"/);
});

test("a cut with the host's side drops what the bridge itself takes or sends", () => {
  assert.match(rulesetOf([{ from: "st1", to: HOST_END }]), /chain input \{[^}]*iifname "st1" counter drop/);
  assert.match(rulesetOf([{ from: HOST_END, to: "st1" }]), /chain output \{[^}]*oifname "st1" counter drop/);
});

test("no cuts leave an empty table that replaces the one before", () => {
  const rules = rulesetOf([]);
  assert.match(rules, /^table bridge lab\ndelete table bridge lab\n/);
  assert.doesNotMatch(rules, /counter drop/);
});
