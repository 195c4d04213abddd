/** The image as `npm run image` makes it: a sound OCI layout whose program starts from what is in it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import manifest from "../../package.json" with { type: "json" };
import { CONFIG } from "../../tools/image/config.ts";
import { makeImage } from "../../tools/image.ts";
import { run } from "../../tools/setup/run.ts";

interface Descriptor {
  digest: string;
  size: number;
}
/** Most that may be pulled and unpacked, in MiB: whoever adds to it shall notice. */
const MOST = { size: 64, unpacked: 160 };

const sha256 = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

test("every blob is what its digest says, the layers are those of the configuration, and the program runs from them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshstor-image-test-"));
  try {
    const image = await makeImage();
    const layout = join(folder, "layout");
    const root = join(folder, "root");
    for (const dir of [layout, root]) mkdirSync(dir);
    await run(["tar", "-xf", image.path, "-C", layout]);
    const blob = (of: Descriptor) => {
      const bytes = readFileSync(join(layout, "blobs", of.digest.replace(":", "/")));
      assert.deepEqual([sha256(bytes), bytes.length], [of.digest, of.size]);
      return bytes;
    };
    const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: (Descriptor & { annotations: Record<string, string> })[] };
    const made = JSON.parse(blob(index.manifests[0]!).toString()) as { config: Descriptor; layers: Descriptor[] };
    const config = JSON.parse(blob(made.config).toString()) as { config: unknown; rootfs: { diff_ids: string[] } };
    assert.deepEqual([config.config, index.manifests[0]!.annotations["io.containerd.image.name"]], [CONFIG, `docker.io/library/meshstor:${manifest.version}`]);
    assert.deepEqual(
      made.layers.map((layer) => sha256(gunzipSync(blob(layer)))),
      config.rootfs.diff_ids,
    );
    for (const layer of made.layers) await run(["tar", "-xzf", join(layout, "blobs", layer.digest.replace(":", "/")), "-C", root]);
    assert.equal((await run(["chroot", root, ...CONFIG.Entrypoint, "--version"])).trim(), manifest.version);
    assert.equal(statSync(join(root, "tmp")).mode & 0o7777, 0o1777);
    const total = (of: "size" | "unpacked") => image.layers.reduce((sum, layer) => sum + layer[of], 0) / 2 ** 20;
    console.log(`# image: ${total("size").toFixed(1)} MiB, unpacked ${total("unpacked").toFixed(1)} MiB`);
    assert.ok(total("size") < MOST.size && total("unpacked") < MOST.unpacked);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
