/** An OCI image layout around layers: what containerd, Podman, Docker and skopeo read from a folder or a tar of it. */
import { copyFileSync, existsSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blobPath, type Layer, writeBlob } from "./layers.ts";

/** What an image is besides its layers. */
export interface ImageDescription {
  /** How a container of it is started (image-spec, config.md). */
  readonly config: object;
  /** Full name with a tag, as container engines know it. */
  readonly name: string;
  /** What the layout calls it; the name's tag as a rule. */
  readonly reference: string;
}

/** The members of a layout, in the order in which they are packed. */
export const MEMBERS = ["oci-layout", "index.json", "blobs"];

/** Writes the layout into a folder and returns that. The same layers and description give the same bytes. */
export function writeLayout(layout: string, { config, name, reference }: ImageDescription, layers: readonly Layer[]): string {
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  for (const layer of layers) {
    const path = blobPath(layout, layer.digest);
    if (!existsSync(path)) copyOrLink(layer.path, path);
  }
  const described = writeBlob(layout, "application/vnd.oci.image.config.v1+json", {
    architecture: "amd64",
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffID) },
  });
  const image = writeBlob(layout, "application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: described,
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  });
  const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": reference };
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ ...image, platform: { architecture: "amd64", os: "linux" }, annotations }],
  };
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  return layout;
}

function copyOrLink(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to); // On another file system.
  }
}
