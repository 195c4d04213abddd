/** The lab of the kernel experiments: an owner n1, a provider n2, and further guests, each with one drive. */
import { GiB } from "../../src/base/units.ts";
import { Lab, type NodeSpec } from "../../lab/cluster.ts";

/** Powers it on. */
export function createRawLab(more: readonly NodeSpec[] = []): Promise<Lab> {
  const drives = [{ size: 4 * GiB }];
  return Lab.create({ nodes: [{ name: "n1", drives }, { name: "n2", drives }, ...more.map((node) => ({ drives, ...node }))] });
}
