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
  /** Its file. */
  path: string;
}

const TAR = "application/vnd.oci.image.layer.v1.tar";
const GZIP = "+gzip";

/** What tar must not take from this machine, nor from this moment. */
const ALIKE = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

/** Packs a folder into the archive `path`. */
export async function pack(folder: string, path: string, members: readonly string[] = ["."]): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  await run(["tar", ...ALIKE, "-cf", `${path}.new`, "-C", folder, ...members]);
  renameSync(`${path}.new`, path);
}

/** Makes `into/NAME.tar.gz` of a folder, or NAME.tar if it is not to be compressed, and NAME.json, which {@link readLayer} reads. */
export async function makeLayer(folder: string, into: string, name: string, { compressed = true }: { compressed?: boolean } = {}): Promise<void> {
  const tar = join(into, `${name}.tar`);
  await pack(folder, tar);
  const content = { diffID: await digestOf(tar), unpacked: statSync(tar).size };
  const path = compressed ? await compress(tar) : tar;
  const digest = compressed ? await digestOf(path) : content.diffID;
  writeFileSync(join(into, `${name}.json`), JSON.stringify({ mediaType: `${TAR}${compressed ? GZIP : ""}`, digest, size: statSync(path).size, ...content }));
}

/** Replaces an archive by a compressed one. */
async function compress(tar: string): Promise<string> {
  await pipeline(createReadStream(tar), createGzip({ level: 9 }), createWriteStream(`${tar}.gz`));
  rmSync(tar);
  return `${tar}.gz`;
}

/** A layer that was made before. */
export function readLayer(into: string, name: string): Layer {
  const layer = JSON.parse(readFileSync(join(into, `${name}.json`), "utf8")) as Omit<Layer, "path">;
  return { ...layer, path: join(into, `${name}.tar${layer.mediaType.endsWith(GZIP) ? ".gz" : ""}`) };
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
