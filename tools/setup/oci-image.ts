/** A small container image for the lab, made without a registry: one layer that is not compressed, in a tar that `ctr images import` takes. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { makeLayer, pack, readLayer } from "../image/layers.ts";
import { MEMBERS, writeLayout } from "../image/layout.ts";

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

/** Writes the image to `output`; `work` is a folder for what is made on the way, which is left empty. */
export async function writeImage(spec: ImageSpec, work: string, output: string): Promise<void> {
  await makeLayer(spec.tree, work, "layer", { compressed: false });
  const config = { Entrypoint: spec.entrypoint, Cmd: spec.command, Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...(spec.env ?? [])] };
  const description = { config, name: spec.reference, reference: spec.reference };
  await pack(writeLayout(join(work, "layout"), description, [readLayer(work, "layer")]), output, MEMBERS);
  for (const made of ["layout", "layer.tar", "layer.json"]) rmSync(join(work, made), { recursive: true });
}
