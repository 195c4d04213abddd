/**
 * The programs that speak CSI with ours: csi-sanity, and the sidecars of a controller's pod. Each is built
 * from the Go module that one folder of tools/peers pins; one module for all would not do, because they
 * want different versions of the CSI specification and of Kubernetes' libraries.
 *
 *     tools/node tools/setup/peers.ts [PROGRAM ...]      (default: all)
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { ensureArtefact } from "./cache.ts";
import { buildProgram } from "./kubernetes-go.ts";
import { say } from "./progress.ts";

const peersDir = resolve(import.meta.dirname, "../peers");

/** Where each program comes from, and how long its build takes on two cores when nothing of it is in Go's cache. */
const SOURCES = {
  "csi-sanity": { folder: "csi-test", module: "github.com/kubernetes-csi/csi-test/v5", expected: "1 min" },
  "csi-provisioner": { folder: "provisioner", module: "github.com/kubernetes-csi/external-provisioner/v6", expected: "4 min" },
  "csi-resizer": { folder: "resizer", module: "github.com/kubernetes-csi/external-resizer/v2", expected: "3 min" },
  "csi-attacher": { folder: "attacher", module: "github.com/kubernetes-csi/external-attacher/v4", expected: "2 min" },
} as const;

/** A program that {@link ensurePeers} can build. */
export type Peer = keyof typeof SOURCES;

/** All of them. */
export const PEERS = Object.keys(SOURCES) as readonly Peer[];

/** A peer's version as its go.mod pins it, for example "v6.3.0". */
export function peerVersion(peer: Peer): string {
  const { folder, module } = SOURCES[peer];
  const goMod = readFileSync(join(peersDir, folder, "go.mod"), "utf8");
  const version = goMod
    .split("\n")
    .find((line) => line.startsWith(`require ${module} `))
    ?.split(" ")[2];
  if (version === undefined) throw new Error(`tools/peers/${folder}/go.mod does not require ${module}`);
  return version;
}

/**
 * Makes sure that the named programs exist, building (one after the other) those that do not.
 * @returns the path of each, by name.
 * @throws Error when there is no Go, a module cannot be downloaded, or a build fails.
 */
export async function ensurePeers<P extends Peer>(names: readonly P[]): Promise<Record<P, string>> {
  const paths: Partial<Record<P, string>> = {};
  for (const name of names) {
    const { folder, module, expected } = SOURCES[name];
    const moduleDir = join(peersDir, folder);
    const version = peerVersion(name);
    const linkFlags = `-s -w -X main.version=${version}`;
    const dir = await ensureArtefact({
      name,
      version,
      recipe: [...["go.mod", "go.sum"].map((file) => readFileSync(join(moduleDir, file), "utf8")), linkFlags],
      describe: `${name} ${version}: building from Go modules`,
      expected,
      build: (building) => buildProgram({ moduleDir, package: `${module}/cmd/${name}`, linkFlags, output: join(building, name) }),
    });
    paths[name] = join(dir, name);
  }
  return paths as Record<P, string>;
}

/** Makes sure of the program that dials a socket in every form that grpc-go knows (tools/peers/dial-forms); returns its path. */
export async function ensureDialForms(): Promise<string> {
  const moduleDir = join(peersDir, "dial-forms");
  const linkFlags = "-s -w";
  const dir = await ensureArtefact({
    name: "dial-forms",
    version: "1",
    recipe: [...["go.mod", "go.sum", "main.go"].map((file) => readFileSync(join(moduleDir, file), "utf8")), linkFlags],
    describe: "dial-forms: building with grpc-go",
    expected: "20 s",
    build: (building) => buildProgram({ moduleDir, package: ".", linkFlags, output: join(building, "dial-forms") }),
  });
  return join(dir, "dial-forms");
}

function isPeer(name: string): name is Peer {
  return Object.hasOwn(SOURCES, name);
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !isPeer(name));
  if (unknown !== undefined) throw new Error(`unknown program ${unknown}; known: ${PEERS.join(", ")}`);
  for (const path of Object.values(await ensurePeers(asked.length === 0 ? PEERS : asked.filter(isPeer)))) say(path);
}
