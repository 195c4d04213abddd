/**
 * Real Kubernetes programs for the lab, built from the Go modules that tools/kubernetes pins, and
 * Debian's etcd. A Go build takes minutes the first time and nothing after it.
 *
 *     tools/node tools/setup/kubernetes.ts [PROGRAM ...]      (default: kube-apiserver kubectl)
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { ensurePackages, unpackFromSuites } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { buildProgram } from "./kubernetes-go.ts";
import { say } from "./progress.ts";

const moduleDir = resolve(import.meta.dirname, "../kubernetes");

/** The programs that tools/kubernetes pins, with the time of a build on two cores after those above it. */
const BUILD_TIMES = {
  "kube-apiserver": "4 min",
  kubectl: "30 s",
  "kube-controller-manager": "1 min",
  "kube-scheduler": "10 s",
  kubelet: "20 s",
} as const;

/** The Debian release whose etcd is used: 12, with etcd 3.4.23, which serves kube-apiserver 1.36. */
const ETCD_SUITE = "bookworm";

/** A program that {@link ensureKubernetesBinaries} can build. */
export type KubernetesProgram = keyof typeof BUILD_TIMES;

/** Kubernetes' version as go.mod pins it, for example "v1.36.3". */
export function kubernetesVersion(): string {
  const goMod = readFileSync(join(moduleDir, "go.mod"), "utf8");
  const version = /k8s\.io\/kubernetes (v\d+\.\d+\.\d+)/.exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${moduleDir}/go.mod does not require k8s.io/kubernetes`);
  return version;
}

/** Without these a program takes itself for v0.0.0-master, and refuses to serve or to talk to others. */
function linkFlags(version: string): string {
  const [major, minor] = version.slice(1).split(".");
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor };
  const settings = Object.entries(values).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return ["-s -w", ...settings].join(" ");
}

/**
 * Makes sure that the named programs exist, building (one after the other) those that do not.
 * @returns the path of each, by name.
 * @throws Error when there is no Go, a module cannot be downloaded, or a build fails.
 */
export async function ensureKubernetesBinaries<P extends KubernetesProgram>(names: readonly P[]): Promise<Record<P, string>> {
  const version = kubernetesVersion();
  const flags = linkFlags(version);
  const pins = ["go.mod", "go.sum"].map((file) => readFileSync(join(moduleDir, file), "utf8"));
  const paths: Partial<Record<P, string>> = {};
  for (const name of names) {
    const dir = await ensureArtefact({
      name,
      version,
      recipe: [...pins, flags],
      describe: `${name} ${version}: building from Go modules`,
      expected: BUILD_TIMES[name],
      build: (building) => buildProgram({ moduleDir, package: `k8s.io/kubernetes/cmd/${name}`, linkFlags: flags, output: join(building, name) }),
    });
    paths[name] = join(dir, name);
  }
  return paths as Record<P, string>;
}

/**
 * Makes sure that etcd is there: Debian's own, unpacked and not installed, because installing it would make
 * an etcd service on this machine and start it.
 * @returns the path of the program.
 */
export async function ensureEtcd(): Promise<string> {
  const dir = await ensureArtefact({
    name: "etcd",
    version: ETCD_SUITE,
    recipe: [],
    describe: "etcd: unpacking Debian's etcd-server",
    expected: "10 s",
    build: async (building) => {
      await unpackFromSuites([ETCD_SUITE], ["etcd-server"], building);
    },
  });
  return join(dir, "usr/bin/etcd");
}

/** All that a lab's control plane runs. */
export interface ControlPlanePrograms {
  readonly etcd: string;
  readonly apiserver: string;
  readonly kubectl: string;
}

/** Makes sure of etcd, kube-apiserver and kubectl, and of openssl, which makes their certificates. */
export async function ensureControlPlanePrograms(): Promise<ControlPlanePrograms> {
  await ensurePackages(["openssl"]);
  const etcd = await ensureEtcd();
  const built = await ensureKubernetesBinaries(["kube-apiserver", "kubectl"]);
  return { etcd, apiserver: built["kube-apiserver"], kubectl: built.kubectl };
}

/** Makes sure of what a control plane runs besides its API server when pods are to be placed and volumes bound. */
export function ensureClusterPrograms(): Promise<Record<"kube-controller-manager" | "kube-scheduler", string>> {
  return ensureKubernetesBinaries(["kube-controller-manager", "kube-scheduler"]);
}

function isProgram(name: string): name is KubernetesProgram {
  return Object.hasOwn(BUILD_TIMES, name);
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !isProgram(name));
  if (unknown !== undefined) throw new Error(`unknown program ${unknown}; known: ${Object.keys(BUILD_TIMES).join(", ")}`);
  const programs = await ensureControlPlanePrograms();
  const others = await ensureKubernetesBinaries(asked.filter(isProgram));
  for (const path of new Set([...Object.values(programs), ...Object.values(others)])) say(path);
}
