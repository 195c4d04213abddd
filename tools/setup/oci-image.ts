/** A container image made without a registry: an OCI layout with one layer, in a tar that `ctr images import` takes. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { run } from "./run.ts";

/** What goes into an image. */
export interface ImageSpec {
  /** The folder that becomes the container's root. */
  readonly tree: string;
  /** Full name with a tag, as pods name it: "lab.local/tools:1". */
  readonly reference: string;
  /** What is run unless the pod says otherwise. */
  readonly command?: readonly string[];
  /** What comes before the pod's arguments. */
  readonly entrypoint?: readonly string[];
  readonly env?: readonly string[];
}

const PREFIX = "application/vnd.oci.image";

/** Everything in the same order, of the same time and owner: the same tree gives the same image. */
const REPRODUCIBLE = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Writes the image to `output`; `work` is a folder for what is made on the way, which is left empty. */
export async function writeImage(spec: ImageSpec, work: string, output: string): Promise<void> {
  const layout = join(work, "layout");
  const blobs = join(layout, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  await run(["tar", ...REPRODUCIBLE, "-cf", join(blobs, "layer"), "-C", spec.tree, "."]);
  const layer = await addFile(blobs, join(blobs, "layer"), `${PREFIX}.layer.v1.tar`);
  const config = addJson(blobs, `${PREFIX}.config.v1+json`, {
    architecture: "amd64",
    os: "linux",
    config: { Entrypoint: spec.entrypoint, Cmd: spec.command, Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...(spec.env ?? [])] },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = addJson(blobs, `${PREFIX}.manifest.v1+json`, { schemaVersion: 2, mediaType: `${PREFIX}.manifest.v1+json`, config, layers: [layer] });
  const annotations = { "io.containerd.image.name": spec.reference, "org.opencontainers.image.ref.name": spec.reference };
  writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
  writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await run(["tar", ...REPRODUCIBLE, "-cf", output, "-C", layout, "."]);
  rmSync(layout, { recursive: true });
}

async function addFile(blobs: string, path: string, mediaType: string): Promise<Descriptor> {
  const hash = (await run(["sha256sum", path])).split(" ")[0] ?? "";
  renameSync(path, join(blobs, hash));
  return { mediaType, digest: `sha256:${hash}`, size: statSync(join(blobs, hash)).size };
}

function addJson(blobs: string, mediaType: string, content: unknown): Descriptor {
  const text = JSON.stringify(content);
  const hash = createHash("sha256").update(text).digest("hex");
  writeFileSync(join(blobs, hash), text);
  return { mediaType, digest: `sha256:${hash}`, size: readFileSync(join(blobs, hash)).length };
}
