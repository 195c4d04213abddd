import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { writeImage } from "./oci-image.ts";
import { run } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "oci-image-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const made = (name: string) => {
  const dir = join(folder, name);
  mkdirSync(dir);
  return dir;
};

test("an image is an OCI layout whose parts have the digests by which they are named; the same tree gives the same image", async () => {
  const tree = made("tree");
  mkdirSync(join(tree, "bin"));
  writeFileSync(join(tree, "bin/hello"), "#!/bin/sh\necho hello\n", { mode: 0o755 });
  const spec = { tree, reference: "lab.local/hello:1", command: ["/bin/hello"], env: ["A=b"] };
  const [first, second] = [join(folder, "first.tar"), join(folder, "second.tar")];
  for (const output of [first, second]) await writeImage(spec, made(`${output.slice(-9)}.work`), output);
  assert.deepEqual(readFileSync(first), readFileSync(second));

  const layout = made("layout");
  await run(["tar", "-xf", first, "-C", layout]);
  const read = (path: string) => JSON.parse(readFileSync(join(layout, path), "utf8")) as Record<string, unknown>;
  const names = readdirSync(join(layout, "blobs/sha256")).sort();
  const hashes = names.map((name) =>
    createHash("sha256")
      .update(readFileSync(join(layout, "blobs/sha256", name)))
      .digest("hex"),
  );
  assert.deepEqual([names.length, names], [3, hashes]);
  const [entry] = read("index.json")["manifests"] as { digest: string; annotations: Record<string, string> }[];
  assert.equal(entry!.annotations["io.containerd.image.name"], "lab.local/hello:1");
  const blob = (digest: string) => `blobs/sha256/${digest.slice("sha256:".length)}`;
  const manifest = read(blob(entry!.digest)) as { config: { digest: string }; layers: { digest: string }[] };
  assert.deepEqual(read(blob(manifest.config.digest)), {
    architecture: "amd64",
    os: "linux",
    config: { Cmd: ["/bin/hello"], Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "A=b"] },
    rootfs: { type: "layers", diff_ids: [manifest.layers[0]!.digest] },
  });
  assert.match(await run(["tar", "-tf", join(layout, blob(manifest.layers[0]!.digest))]), /^\.\/bin\/hello$/m);
});
