/** Which of a node's drives a volume lies on. */
import type { Stage } from "./stage.ts";

/** The number of the drive that a node's member of the first mirror lies on. */
export async function driveOf(stage: Stage, node: string): Promise<number> {
  const { partitions = [] } = (await stage.volume()).status!;
  const drive = partitions.find((p) => p.nodeID === node && p.mirror === 0)!.drive;
  const index = /^LAB-.*-(\d+):\d+$/.exec(drive)?.[1];
  if (index === undefined) throw new Error(`drive ${drive} is none of the lab's`);
  return Number(index);
}
