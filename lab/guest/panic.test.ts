/** A panic is told with its reason and the lines around it; a console without one is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { panicIn } from "./panic.ts";

test("the reason and the lines around it", () => {
  const said = ["[    1.0] booting", "[   90.1] Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x6004", "[   90.1] CPU: 0 UID: 0 PID: 77 Comm: node", ""].join(
    "\r\n",
  );
  assert.equal(
    panicIn(said),
    "its kernel panicked: Kernel mode fault at addr 0x0, ip 0x6004\n[    1.0] booting\n[   90.1] Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x6004\n[   90.1] CPU: 0 UID: 0 PID: 77 Comm: node\n",
  );
  assert.equal(panicIn("[    1.0] booting\n[   2.0] reboot: Power down\n"), null);
});
