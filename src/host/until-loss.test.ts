import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runOk } from "./exec.ts";
import { ROOTS } from "./files.ts";
import { untilLoss } from "./until-loss.ts";

const sys = ROOTS.sys;
let root = "";
const state = (controller: string, text: string) => writeFileSync(join(root, "class/nvme", controller, "state"), `${text}\n`);

/** An array of two windows, over a partition and over an import; a third import that is about to join, and one of somebody else. */
before(() => {
  root = mkdtempSync(join(tmpdir(), "until-loss-"));
  ROOTS.sys = root;
  for (const folder of [
    "class/block/md_x/slaves/dm-1",
    "class/block/md_x/slaves/dm-2",
    "class/block/dm-1/slaves/nvme0n1p3",
    "class/block/dm-2/slaves/nvme4n1",
    "class/block/dm-3/slaves/nvme5n1",
  ])
    mkdirSync(join(root, folder), { recursive: true });
  for (const [controller, path] of Object.entries({ nvme0: "nvme0n1", nvme4: "nvme4c4n1", nvme5: "nvme5n1", nvme6: "nvme6n1" })) {
    mkdirSync(join(root, "class/nvme", controller, path), { recursive: true });
    writeFileSync(join(root, "class/nvme", controller, "subsysnqn"), `nqn.${controller}\n`);
    writeFileSync(join(root, "class/nvme", controller, "transport"), "tcp\n");
    state(controller, "live");
  }
});
after(() => {
  ROOTS.sys = sys;
  rmSync(root, { recursive: true });
});

for (const [whose, controller] of [
  ["a member's", "nvme4"],
  ["the joining member's", "nvme5"],
] as const)
  test(`what an operation runs is ended when ${whose} connection is lost (Z3), and none begins while it is`, async () => {
    const started = performance.now();
    const work = () => {
      state(controller, "connecting");
      return runOk(["sleep", "60"], { deadlineMs: 60_000 }).then(() => {});
    };
    const reason = `the connection ${controller} below array md_x was lost: that is dealt with first`;
    await assert.rejects(untilLoss("md_x", "dm-3", work), { code: "CommandTimedOut", message: new RegExp(`^'sleep 60' was ended after \\d+ ms: ${reason}$`) });
    assert.ok(performance.now() - started < 30_000);
    await assert.rejects(
      untilLoss("md_x", "dm-3", () => assert.fail("begun")),
      { code: "CommandTimedOut", message: reason },
    );
    state(controller, "live");
  });

test("a connection of somebody else, and a member's that is live, end nothing; an operation's own error is its error", async () => {
  state("nvme6", "connecting");
  await untilLoss("md_x", null, () => runOk(["sleep", "0.6"], { deadlineMs: 60_000 }).then(() => {}));
  await assert.rejects(
    untilLoss("md_x", null, () => Promise.reject(new Error("its own"))),
    /its own/,
  );
});
