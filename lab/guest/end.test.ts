/** A machine's end is told with its reason and the console's lines around it; one that went off in order is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endOf } from "./end.ts";

test("a panic: the reason and the lines around it", () => {
  const said = ["[    1.0] booting", "[   90.1] Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x6004", "[   90.1] CPU: 0 UID: 0 PID: 77 Comm: node", ""].join(
    "\r\n",
  );
  const told =
    "its kernel panicked: Kernel mode fault at addr 0x0, ip 0x6004\n[    1.0] booting\n[   90.1] Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x6004\n[   90.1] CPU: 0 UID: 0 PID: 77 Comm: node\n";
  assert.deepEqual([endOf(said, { code: 1, signal: null }), endOf(said, { code: 0, signal: null })], [told, told]);
});

test("an end without a word of a panic: the signal or the code, and the last lines", () => {
  const said = "[    1.0] booting\n[   90.1] wait_stub_done : failed to wait for SIGTRAP";
  assert.deepEqual(
    [
      { code: null, signal: "SIGABRT" },
      { code: 1, signal: null },
      { code: 0, signal: null },
    ].map((end) => endOf(said, end)),
    [`its machine ended with SIGABRT, and nobody had switched it off\n${said}`, `its machine ended with code 1, and nobody had switched it off\n${said}`, null],
  );
});

test("a machine that powers down in order says nothing of its end", () => {
  assert.equal(endOf("[    1.0] booting\n[   2.0] reboot: Power down\n", { code: 0, signal: null }), null);
});
