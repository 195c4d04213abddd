/** The kinds of Kubernetes objects that we use, with the fields that we use. */
import { API_GROUP, API_VERSION } from "../api/names.ts";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import type { MeshStorVolume, ObjectMeta } from "../api/volume.ts";

/** Where a kind is found; `T` is the type of its objects and exists for the compiler only. */
export interface ResourceType<T> {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly phantom?: T;
}

/** Metadata of an object that lives in a namespace. */
export interface NamespacedMeta extends ObjectMeta {
  namespace: string;
}

export interface NodeAddress {
  type: "InternalIP" | "ExternalIP" | "Hostname" | "InternalDNS" | "ExternalDNS";
  address: string;
}
export interface NodeCondition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string;
  message?: string;
  lastHeartbeatTime?: string;
  lastTransitionTime?: string;
}
/** core/v1 Node. */
export interface Node {
  apiVersion: "v1";
  kind: "Node";
  metadata: ObjectMeta;
  spec: {
    /** Cordoned. */
    unschedulable?: boolean;
    taints?: { key: string; value?: string; effect: string }[];
  };
  status?: {
    addresses?: NodeAddress[];
    conditions?: NodeCondition[];
    nodeInfo?: { bootID: string; kernelVersion: string; osImage?: string; architecture?: string };
  };
}

/** core/v1 Pod. */
export interface Pod {
  apiVersion: "v1";
  kind: "Pod";
  metadata: NamespacedMeta;
}

/** coordination.k8s.io/v1 Lease. Times are RFC 3339 with microseconds. */
export interface Lease {
  apiVersion: "coordination.k8s.io/v1";
  kind: "Lease";
  metadata: NamespacedMeta;
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface ObjectReference {
  apiVersion: string;
  kind: string;
  name: string;
  namespace?: string;
  uid?: string;
}
/** events.k8s.io/v1 Event. */
export interface KubeEvent {
  apiVersion: "events.k8s.io/v1";
  kind: "Event";
  metadata: NamespacedMeta;
  eventTime: string;
  series?: { count: number; lastObservedTime: string };
  reportingController: string;
  reportingInstance: string;
  action: string;
  reason: string;
  regarding: ObjectReference;
  note: string;
  type: "Normal" | "Warning";
}

export const VOLUMES: ResourceType<MeshStorVolume> = { group: API_GROUP, version: API_VERSION, plural: "meshstorvolumes", kind: "MeshStorVolume", namespaced: false };
export const DEVICES: ResourceType<MeshStorNodeDevice> = { group: API_GROUP, version: API_VERSION, plural: "meshstornodedevices", kind: "MeshStorNodeDevice", namespaced: false };
export const NODES: ResourceType<Node> = { group: "", version: "v1", plural: "nodes", kind: "Node", namespaced: false };
export const PODS: ResourceType<Pod> = { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true };
export const LEASES: ResourceType<Lease> = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", namespaced: true };
export const EVENTS: ResourceType<KubeEvent> = { group: "events.k8s.io", version: "v1", plural: "events", kind: "Event", namespaced: true };

/** Namespace of the Leases that every kubelet renews as its heartbeat, by the node's name. */
export const KUBELET_LEASES = "kube-node-lease";

/** `group/version` as it stands in an object's apiVersion. */
export function apiVersionOf(type: ResourceType<unknown>): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}
