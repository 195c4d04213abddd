/** Image layers that are the same bytes whenever their content is the same: sorted, without times, names of users or machines. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { run } from "../setup/run.ts";

/** A file among the blobs of an image. */
export interface Blob {
  mediaType: string;
  digest: string;
  size: number;
}
export interface Layer extends Blob {
  /** Digest of the content before it was compressed. */
  diffID: string;
  /** Bytes before it was compressed. */
  unpacked: number;
  /** The compressed file. */
  path: string;
}

/** What tar must not take from this machine, nor from this moment. */
const ALIKE = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

/** Packs a folder into the archive `path`. */
export async function pack(folder: string, path: string, members: readonly string[] = ["."]): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  await run(["tar", ...ALIKE, "-cf", `${path}.new`, "-C", folder, ...members]);
  renameSync(`${path}.new`, path);
}

/** Makes `into/NAME.tar.gz` of a folder, and NAME.json, which {@link readLayer} reads. */
export async function makeLayer(folder: string, into: string, name: string): Promise<void> {
  const tar = join(into, `${name}.tar`);
  const path = `${tar}.gz`;
  await pack(folder, tar);
  const [diffID, unpacked] = [await digestOf(tar), statSync(tar).size];
  await pipeline(createReadStream(tar), createGzip({ level: 9 }), createWriteStream(path));
  rmSync(tar);
  const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: await digestOf(path), size: statSync(path).size, diffID, unpacked };
  writeFileSync(join(into, `${name}.json`), JSON.stringify(layer));
}

/** A layer that was made before. */
export function readLayer(into: string, name: string): Layer {
  return { ...(JSON.parse(readFileSync(join(into, `${name}.json`), "utf8")) as Omit<Layer, "path">), path: join(into, `${name}.tar.gz`) };
}

/** Writes bytes among the blobs of a layout. */
export function writeBlob(layout: string, mediaType: string, value: object): Blob {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  writeFileSync(blobPath(layout, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

/** Where a blob of this digest lies in a layout. */
export function blobPath(layout: string, digest: string): string {
  return join(layout, "blobs", "sha256", basename(digest.replace(":", "/")));
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest("hex")}`;
}
