/**
 * What a role of the program asks of the API server, read from its source: every file that its first one imports, and every call
 * of the client in them. A call that cannot be read is an error, so that none is overlooked.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { KUBELET_LEASES } from "../../src/kube/resources.ts";
import * as resources from "../../src/kube/resources.ts";
import { NAMESPACE } from "../../src/api/names.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** The client's methods and the verbs that they need; on a subresource where one is named. */
const VERBS: Readonly<Record<string, readonly string[]>> = {
  get: ["get"],
  tryGet: ["get"],
  list: ["list"],
  create: ["create"],
  replace: ["update"],
  replaceStatus: ["status update"],
  mergePatch: ["patch"],
  patchStatus: ["status patch"],
  remove: ["delete"],
};
/** These take the kind as an argument; their callers name it. */
const GENERIC = new Set(["client.ts", "informer.ts"]);

/** Files under src that `entry` needs at run time or for its types; tests and fakes are none of them. */
export function sourcesOf(entry: string): string[] {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file) || !existsSync(file)) return;
    seen.add(file);
    for (const [, path] of readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)) visit(resolve(dirname(file), path!));
  };
  visit(join(ROOT, entry));
  return [...seen].toSorted();
}

/** What the files ask for, as `namespace (or "*"): group/resource verb`, each once. */
export function callsOf(files: readonly string[]): string[] {
  const calls = files.filter((file) => !(file.includes("/kube/") && GENERIC.has(basename(file)))).flatMap(callsIn);
  return [...new Set(calls)].toSorted();
}

function callsIn(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const calls = [...text.matchAll(/\b(?:client|kube)\s*\.(get|tryGet|list|create|replace|replaceStatus|mergePatch|patchStatus|remove)\b(?:<[^>(]*>)?\(\s*([^,)]*)/g)];
  const watches = [...text.matchAll(/new Informer(?:<\w+>)?\(\{[^}]*?\btype: (\w+)/g)];
  const informers = [...text.matchAll(/new Informer\b/g)].length;
  if (watches.length !== informers) throw new Error(`${file}: the kind of an informer cannot be read`);
  return [
    ...calls.flatMap(([call, method, kind]) => VERBS[method!]!.map((verb) => grant(file, kind!, verb, call.includes(KUBELET) || around(text, call).includes(KUBELET)))),
    ...watches.flatMap(([, kind]) => ["list", "watch"].map((verb) => grant(file, kind!, verb, false))),
  ];
}

const KUBELET = "KUBELET_LEASES";
/** The rest of the call's line: its options. */
function around(text: string, call: string): string {
  const begin = text.indexOf(call);
  return text.slice(begin, text.indexOf("\n", begin + call.length));
}

function grant(file: string, kind: string, verb: string, ofKubelet: boolean): string {
  const type = (resources as unknown as Record<string, { group: string; plural: string } | undefined>)[kind];
  if (type?.plural === undefined) throw new Error(`${file}: a call of the client with ${JSON.stringify(kind)}, which is not one of src/kube/resources.ts`);
  const [subresource, what] = verb.startsWith("status ") ? ["/status", verb.slice(7)] : ["", verb];
  const scope = type.plural !== "leases" ? "*" : ofKubelet ? KUBELET_LEASES : NAMESPACE;
  return `${scope}: ${type.group}/${type.plural}${subresource} ${what}`;
}
