/** The roles in deploy/ against the calls in the source: nothing is missing, and nothing is too much. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { callsOf, sourcesOf } from "./calls.ts";
import { grantsOf, manifests } from "./manifests.ts";

for (const [role, entry] of [
  ["meshstor-controller", "src/controller/run.ts"],
  ["meshstor-node", "src/agent/start.ts"],
] as const) {
  test(`${role} may do what its program asks for, and nothing else`, () => {
    assert.deepEqual(grantsOf(role), callsOf(sourcesOf(entry)));
  });
}

test("no role has a wildcard, and none can read Secrets or change nodes, roles and pods; but the controller a condition of nodes (40-admission.yaml)", () => {
  const roles = manifests().filter(({ kind }) => kind === "ClusterRole" || kind === "Role");
  const grants = [...new Set(roles.flatMap(({ metadata }) => grantsOf(metadata.name)))];
  assert.deepEqual(
    grants.filter((grant) => /\*$|: .*\*|secrets|roles|(nodes|pods)(\/\w+)? (?!get|list|watch)/.test(grant)),
    ["*: /nodes/status patch"],
  );
});
