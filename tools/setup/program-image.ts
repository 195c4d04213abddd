/** A container image of one static program, under the name by which a manifest asks for it: the sidecars, without a registry. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

import { ensureArtefact } from "./cache.ts";
import { writeImage } from "./oci-image.ts";

/** Builds (once) the image of the program at `path` under the name `reference`; returns the path of its tar. */
export async function ensureProgramImage(path: string, reference: string): Promise<string> {
  const name = basename(path);
  const dir = await ensureArtefact({
    name: `${name}-image`,
    version: "1",
    // The cache's paths name version and recipe of what lies there.
    recipe: [
      path,
      reference,
      ...["oci-image.ts", "../image/layout.ts", "../image/layers.ts", "program-image.ts"].map((file) => readFileSync(join(import.meta.dirname, file), "utf8")),
    ],
    describe: `container image of ${name}: building`,
    expected: "2 s",
    build: async (into) => {
      const tree = join(into, "tree");
      for (const folder of ["proc", "sys", "dev", "tmp"]) mkdirSync(join(tree, folder), { recursive: true });
      copyFileSync(path, join(tree, name));
      chmodSync(join(tree, name), 0o755);
      await writeImage({ tree, reference, entrypoint: [`/${name}`] }, into, join(into, "image.tar"));
      rmSync(tree, { recursive: true });
    },
  });
  return join(dir, "image.tar");
}
