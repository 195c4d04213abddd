import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { poll } from "../files.ts";
import { isDead, isDying, parseCommandLine } from "./processes.ts";
import { isSuspendOf } from "./suspend.ts";

const status = (state: string, own: string, shared: string): string =>
  `Name:\tx\nState:\t${state}\nSigQ:\t4/96365\nSigPnd:\t${own}\nShdPnd:\t${shared}\nSigBlk:\t0000000000000000\n`;

test("SIGKILL is bit 8 of what is pending", () => {
  const [none, killed, other] = ["0000000000000000", "0000000000000100", "0000000000000200"];
  const cases = [status("D (disk sleep)", killed, none), status("D (disk sleep)", none, killed), status("Z (zombie)", none, none), status("D (disk sleep)", none, other), ""];
  assert.deepEqual(cases.map(isDying), [true, true, true, false, false]);
});

test("a living process is not dead, a stopped one that is killed is, and one that is gone", async () => {
  const child = spawn("sleep", ["60"]);
  const { pid } = child;
  assert.equal(await isDead(pid!), false);
  child.kill("SIGSTOP");
  assert.equal(await isDead(pid!), false);
  child.kill("SIGKILL");
  assert.equal(await poll(5_000, 10, async () => ((await isDead(pid!)) ? true : null)), true);
  assert.equal(await isDead(2 ** 22 + 1), true);
});

test("a suspend is known by its command line, or by the title of the guard's process", () => {
  assert.deepEqual(parseCommandLine("@meshstor-hold meshstor-v\0\0\0")[0], "@meshstor-hold meshstor-v");
  const lines = [
    ["@meshstor-hold meshstor-v", "", ""],
    ["@meshstor-hold meshstor-vv"],
    ["/sbin/dmsetup", "suspend", "--noflush", "--noudevsync", "meshstor-v"],
    ["dmsetup", "resume", "meshstor-v"],
  ];
  assert.deepEqual(
    lines.map((argv) => isSuspendOf(argv, "meshstor-v")),
    [true, false, true, false],
  );
});
