/** Volumes that time, or news of nodes and drives, may bring on: they are looked at more often than the rest. */
import { EMPTY_ANNOTATION } from "../api/names.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import type { Node } from "../kube/resources.ts";

/** Between two looks at volumes of which something is missing: time-outs pass. */
const EVERY_MS = 5000;

export interface UnwellOptions {
  volumes(): MeshStorVolume[];
  nodes(): Node[];
  wake(name: string): void;
}

export class Unwell {
  readonly #options: UnwellOptions;
  #emptied = "";
  #timer: NodeJS.Timeout | null = null;

  constructor(options: UnwellOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), EVERY_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Something changed that may help; nothing before the start. */
  wake(): void {
    const { volumes, wake } = this.#options;
    if (this.#timer) for (const volume of volumes().filter(isUnwell)) wake(volume.metadata.name);
  }

  /** A node came, went or changed. */
  nodesChanged(): void {
    if (!this.#timer) return;
    const { volumes, nodes, wake } = this.#options;
    const emptied = nodes().flatMap(({ metadata }) => (metadata.annotations?.[EMPTY_ANNOTATION] === "true" ? [metadata.name] : []));
    // Every volume is told which nodes shall hold no copy.
    if (emptied.join() !== this.#emptied) for (const volume of volumes()) wake(volume.metadata.name);
    this.#emptied = emptied.join();
    this.wake();
  }
}

/** Something of a volume in use is not as it shall be. */
export function isUnwell({ spec, status }: MeshStorVolume): boolean {
  if (!status?.owner) return false;
  const partitions = (status.partitions ?? []).filter((p) => p.state !== "Deleting");
  const nodes = new Set(partitions.map((p) => p.nodeID));
  const leaving = (status.leavingNodes ?? []).some((node) => nodes.has(node));
  return leaving || status.placementMessage !== undefined || nodes.size !== spec.numberOfCopies || partitions.some((p) => p.state !== "Synced");
}
