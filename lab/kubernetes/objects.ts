/** Objects that users of the driver make: the driver's own, classes, claims and pods. */
import { DRIVER_NAME } from "../../src/api/names.ts";
import { TOOLS_IMAGE } from "../../tools/setup/tools-image.ts";
import type { Manifest } from "../control-plane/objects.ts";

/** What Kubernetes is told of the driver. */
export function csiDriver(): Manifest {
  const spec = { attachRequired: false, podInfoOnMount: false, fsGroupPolicy: "File", storageCapacity: true, volumeLifecycleModes: ["Persistent"] };
  return { apiVersion: "storage.k8s.io/v1", kind: "CSIDriver", metadata: { name: DRIVER_NAME }, spec };
}

/** How {@link storageClass} differs from the usual one. */
export interface ClassOptions {
  readonly waitForConsumer?: boolean;
  readonly reclaimPolicy?: "Delete" | "Retain";
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A class of two copies unless the parameters say otherwise. */
export function storageClass(name: string, options: ClassOptions = {}): Manifest {
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name },
    provisioner: DRIVER_NAME,
    parameters: { numberOfCopies: "2", ...options.parameters },
    volumeBindingMode: options.waitForConsumer === true ? "WaitForFirstConsumer" : "Immediate",
    reclaimPolicy: options.reclaimPolicy ?? "Delete",
    allowVolumeExpansion: true,
  };
}

/** A claim of a class. */
export function claim(name: string, className: string, size = "512Mi"): Manifest {
  const spec = { accessModes: ["ReadWriteOnce"], storageClassName: className, resources: { requests: { storage: size } } };
  return { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name }, spec };
}

/** A pod that runs a shell script with a claim at /data. */
export function pod(name: string, claimName: string, script: string, spec: Readonly<Record<string, unknown>> = {}): Manifest {
  const container = { name: "main", image: TOOLS_IMAGE, imagePullPolicy: "Never", command: ["/bin/sh", "-euc", script], volumeMounts: [{ name: "data", mountPath: "/data" }] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 2,
      dnsPolicy: "Default",
      automountServiceAccountToken: false,
      containers: [container],
      volumes: [{ name: "data", persistentVolumeClaim: { claimName } }],
      ...spec,
    },
  };
}
