/** Our socket and grpc-go, dialled as kubelet and the sidecars dial it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

import { ensureDialForms } from "../../tools/setup/peers.ts";
import { Identity } from "./gen/csi_pb.ts";
import { identityService } from "./identity.ts";
import { withServer } from "./test-client.ts";

test("grpc-go is answered in every form in which it dials a unix socket", async () => {
  const program = await ensureDialForms();
  await withServer(Identity, identityService({ version: "1", ready: () => true }), async (_, path) => {
    const { stdout } = await promisify(execFile)(program, [path], { timeout: 240_000 });
    const lines = stdout.trim().split("\n");
    assert.deepEqual([lines.length, lines.filter((line) => !line.endsWith(": ok"))], [8, []]);
  });
});
