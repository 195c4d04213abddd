/** docs/reference/privileges.md: what deploy/ asks for, with the reasons that stand there as comments. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isMap, isScalar, isSeq, parseAllDocuments, type YAMLMap } from "yaml";
import { GENERATED, table } from "./markdown.ts";

const DEPLOY = resolve(import.meta.dirname, "../../deploy");

const documents = (file: string) => parseAllDocuments(readFileSync(join(DEPLOY, file), "utf8")).map((document) => document.contents as YAMLMap);
const plain = (comment: string | null | undefined): string =>
  (comment ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("chart"))
    .join(" ");

/** The comment before an item of a list; the first item's stands before the list. */
function reasons(list: unknown): { item: YAMLMap; why: string }[] {
  if (!isSeq(list)) throw new Error("not a list");
  return list.items.map((item, i) => {
    if (!isMap(item)) throw new Error("not a list of objects");
    return { item, why: given(plain(item.commentBefore ?? (i === 0 ? list.commentBefore : null)), String(item)) };
  });
}

/** The comment before a key; the first key's stands before the whole. */
function reasonOf(map: YAMLMap, key: string): string {
  const at = map.items.findIndex((each) => isScalar(each.key) && each.key.value === key);
  const name = map.items[at]?.key;
  if (!isScalar(name)) throw new Error(`no key ${key}`);
  return given(plain(name.commentBefore ?? (at === 0 ? map.commentBefore : null)), key);
}

function given(why: string, what: string): string {
  if (why === "") throw new Error(`deploy/ gives no reason for ${what}`);
  return why;
}

function rights(file: string, role: string): string[][] {
  const roles = documents(file).filter((each) => ["ClusterRole", "Role"].includes(each.get("kind") as string) && each.getIn(["metadata", "name"]) === role);
  return roles.flatMap((each) =>
    reasons(each.get("rules", true)).map(({ item, why }) => {
      const { apiGroups, resources, verbs } = item.toJSON() as { apiGroups: string[]; resources: string[]; verbs: string[] };
      const where = (each.getIn(["metadata", "namespace"]) as string | undefined) ?? "everywhere";
      return [`\`${resources.join(", ")}\` (${apiGroups[0] || "core"})`, verbs.join(", "), where, why];
    }),
  );
}

function hostTable(): string {
  const pod = documents("60-node.yaml")[0]!.getIn(["spec", "template", "spec"], true) as YAMLMap;
  const container = pod.getIn(["containers", 0], true) as YAMLMap;
  const volumes = (pod.toJSON() as { volumes: { name: string; hostPath?: { path: string } }[] }).volumes;
  const paths = reasons(container.get("volumeMounts", true)).map(({ item, why }) => {
    const { name, readOnly, mountPropagation } = item.toJSON() as { name: string; readOnly?: boolean; mountPropagation?: string };
    const path = volumes.find((volume) => volume.name === name)?.hostPath?.path;
    return [path === undefined ? "scratch in memory" : `\`${path}\`${readOnly ? ", read-only" : ""}${mountPropagation ? ", mounts seen by the host" : ""}`, why];
  });
  const keys = ["hostPID", "hostNetwork"].map((key) => [`\`${key}\``, reasonOf(pod, key)]);
  const security = container.get("securityContext", true) as unknown as YAMLMap;
  return table(["what", "why"], [...keys, ["`privileged`, root", reasonOf(security, "privileged")], ...paths]);
}

/** The page. */
export function privilegesPage(): string {
  const head = ["resource", "verbs", "namespace", "why"];
  return `${GENERATED("deploy/")}

# Privileges

The reasons are those that stand in \`deploy/\`; the roles are compared with the calls in the source by a test ([test/deploy](../../test/deploy/rbac.test.ts)).

## On the host

The **controller** asks for nothing: no root, no capability, a root file system that it cannot write to, no path of the host. The **node** program:

${hostTable()}

It runs no shell and listens to nobody but kubelet, through two unix sockets, and to \`127.0.0.1:4422\` for its health. Which drives it may write to is decided by people ([nodes and drives](../how-to/nodes-and-drives.md)); on them it changes only partitions of its own type that are recorded in a volume (I9).

## In the API: the node program

One service account for all nodes, so roles cannot tell them apart. Admission policies do ([40-admission.yaml](../../deploy/40-admission.yaml)), by the node's name in the pod's token: a node writes only its own heartbeat, its own drives, events in its own name, and of a volume's record only its own partitions and requests, unless it owns the volume or takes it over, which it says by naming the former owner.
What remains to a node that is in the wrong hands: it can read all volumes, nodes and names of pods, and take over any volume, as it must be able to when a pod is started there.

${table(head, rights("30-rbac-node.yaml", "meshstor-node"))}

## In the API: the controller

${table(head, rights("30-rbac-controller.yaml", "meshstor-controller"))}

Beside it run the two sidecars of Kubernetes' own, with the same identity:

${table(
  ["for", ...head],
  ["provisioner", "resizer"].flatMap((name) => rights("30-rbac-controller.yaml", `meshstor-${name}`).map((row) => [`csi-${name}`, ...row])),
)}
`;
}
