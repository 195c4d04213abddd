/** docs/how-to/install.md: every `sh` block of it, in order, as it stands, against a real API server. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { run } from "../../tools/setup/run.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "meshstor-install-"));
let plane: ControlPlane;

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
  // Its usual maker, the controller manager, does not run here.
  await plane.kubectl(["create", "serviceaccount", "default", "--namespace=default"]);
  const shim = join(folder, "kubectl");
  writeFileSync(shim, `#!/bin/sh\nexec ${plane.kubectlCommand([]).join(" ")} "$@"\n`);
  chmodSync(shim, 0o755);
});
after(async () => {
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test("every command of the quick start runs as it is written", async () => {
  const page = readFileSync(join(ROOT, "docs/how-to/install.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  assert.equal(blocks.length, 2);
  for (const block of blocks) await run(["bash", "-euo", "pipefail", "-c", block], { cwd: ROOT, env: { PATH: `${folder}:${process.env["PATH"]}` } });
  const { stdout } = await plane.kubectl(["get", "storageclass", "mesh-2copy-tcp", "-o", "yaml"]);
  const made = parse(stdout) as Record<string, unknown>;
  assert.deepEqual([made["provisioner"], made["parameters"], made["allowVolumeExpansion"]], ["io.meshstor.csi.mesh", { drivesPerCopy: "1", numberOfCopies: "2" }, true]);
});
