/** What is on the drives of the model: partitions, labels, superblocks, blocks. */

/** Content of a block that was never zeroed: bytes of somebody else. */
export const FOREIGN = -1;

export interface Label {
  volume: string;
  member: string;
  epoch: number;
  generation: number;
}

export interface Superblock {
  arrayUUID: string;
  /** Event count: raised with every change of the array, on the members that answer. */
  events: number;
  raidDisks: number;
  /** Dirty chunks, as they lie on this member. */
  bitmap: Set<number>;
  /** A rebuild in full began and did not end. */
  rebuilding: boolean;
  /** Size of the array that it says. */
  sizeBytes: number;
}

export interface Part {
  uuid: string;
  node: string;
  drive: string;
  number: number;
  startBytes: number;
  sizeBytes: number;
  /** Number of the write that each block carries; 0 is zeroes. */
  content: number[];
  /** Up to here it is proven to read as zeroes behind what is used. */
  zeroedBytes: number;
  label: Label | "foreign" | null;
  superblock: Superblock | null;
}

export interface DriveState {
  id: string;
  device: string;
  present: boolean;
  /** Counts removals: what was opened before one is dead after it. */
  incarnation: number;
  parts: Part[];
}
