/** The manifests in deploy/, as objects. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseAllDocuments } from "yaml";

export const DEPLOY = resolve(import.meta.dirname, "../../deploy");
export const EXAMPLES = resolve(import.meta.dirname, "../../examples");

export interface ManifestObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
}

/** The files that `kubectl apply -f deploy/` reads, in its order. */
export function manifestFiles(): string[] {
  return readdirSync(DEPLOY)
    .filter((name) => /\.(yaml|yml|json)$/.test(name))
    .toSorted();
}

/** Every object of a text with several documents. */
export function objectsOf(text: string): ManifestObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as ManifestObject | null)
    .filter((object) => object !== null);
}

/** What is installed, in order. */
export function manifests(): ManifestObject[] {
  return manifestFiles().flatMap((name) => objectsOf(readFileSync(join(DEPLOY, name), "utf8")));
}

/** Kind, namespace and name, as one word. */
export function nameOf({ kind, metadata: { namespace, name } }: ManifestObject): string {
  return [kind, namespace, name].filter((part) => part !== undefined).join("/");
}

export interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

/** The roles of this name, as `namespace (or "*"): group/resource verb`. */
export function grantsOf(role: string): string[] {
  const roles = manifests().filter((object) => ["ClusterRole", "Role"].includes(object.kind) && object.metadata.name === role);
  return roles
    .flatMap(({ metadata, rules }) =>
      (rules as Rule[]).flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${metadata.namespace ?? "*"}: ${group}/${resource} ${verb}`))),
      ),
    )
    .toSorted();
}
