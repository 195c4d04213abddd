/** Stops an array and proves that it is gone (I8). */
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { node } from "../block.ts";
import { poll } from "../files.ts";
import { readArray } from "./sysfs.ts";
import { mdadm } from "./tool.ts";

/** Time for the kernel to take the array's sysfs tree away, in ms. */
const GONE_MS = 5_000;

/** Stops the array; one that is gone is success. Throws CommandFailed (in use), CommandTimedOut, or Unsafe if it is still there. */
export async function stopArray(device: string): Promise<void> {
  if ((await readArray(device)) === null) return;
  await mdadm(["--stop", node(device)], { lane: device });
  const gone = await poll(GONE_MS, 50, async () => ((await readArray(device)) === null ? true : null));
  if (!gone) throw new MeshStorError("Unsafe", `array ${device} is still there after mdadm --stop`);
}

/** Runs `work` on an array just made; if that fails, the array is stopped again before the error goes on (I3). */
export async function orStop(device: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const first = asMeshStorError(error);
    await stopArray(device).catch((second: unknown) => {
      throw new MeshStorError(first.code, `${first.message}; and it could not be stopped again: ${asMeshStorError(second).message}`, { cause: error });
    });
    throw error;
  }
}
