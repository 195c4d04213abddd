import assert from "node:assert/strict";
import { test } from "node:test";
import { toolRefusals } from "./capabilities.ts";
import type { Tool } from "./tools.ts";

const tool = (name: string, ...argv: string[]): Tool => ({ name, package: `${name}-pack`, argv, pattern: /version (\d+\.\d+)/, least: "2.5" });

test("tools are asked for their versions by one program, wherever they say them", async () => {
  const asked = [
    tool("out", "printf", "version 2.10\\n"),
    tool("err", "perl", "-e", "print STDERR 'version 2.5'"),
    tool("old", "printf", "version 2.4"),
    tool("silent", "true"),
    tool("failing", "perl", "-e", "print 'version 3.0'; exit 1"),
    tool("absent", "meshstor-no-such-tool", "--version"),
    tool("last", "printf", "version 2.5"),
  ];
  assert.deepEqual(await toolRefusals(asked), [
    "old is 2.4, at least 2.5 is needed (package old-pack)",
    "silent does not say its version",
    "absent is missing (package absent-pack)",
  ]);
});
