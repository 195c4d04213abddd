/** What every start and every join of the model looks at. */
import { MD_DATA_OFFSET } from "../../base/layout.ts";
import type { ArrayState } from "./world.ts";
import { violated } from "./world.ts";

/** No member that is smaller than the array, or says so in its superblock, is used in it. */
export function checkSize(array: Pick<ArrayState, "mirror" | "sizeBytes">, windowBytes: number, uuid: string): void {
  if (windowBytes < MD_DATA_OFFSET + array.sizeBytes) violated("growth", `member ${uuid} is smaller than mirror ${array.mirror} that it is used in`);
}
