/**
 * MD's own membership operations suspend the array and wait for every request (Z3). One that began just before a connection
 * was lost waits for requests that only the release of that loss ends, and the release waits for it: until its deadline nothing
 * of the volume goes on. So what an operation runs is ended as soon as a connection below the array, or below the member that
 * joins, is not live; the next pass deals with the loss, and the operation is done again later.
 */
import { MeshStorError } from "../base/errors.ts";
import { slavesOf } from "./block.ts";
import { whatEnds } from "./exec.ts";
import { headOf, readController, readControllers } from "./nvme/sysfs.ts";

/** How often the connections are looked at while an operation runs, in ms. */
const LOOK_MS = 250;

/** Runs an operation on an array; `window`: of the member that it is about. @throws MeshStorError CommandTimedOut if a connection is lost before its end */
export async function untilLoss(array: string, window: string | null, work: () => Promise<void>): Promise<void> {
  const windows = new Set([...(await slavesOf(array)), ...(window === null ? [] : [window])]);
  const below = new Set((await Promise.all([...windows].map(slavesOf))).flat());
  const imports = (await readControllers()).filter((c) => c.paths.some((path) => below.has(headOf(path))));
  const loss = new AbortController();
  let busy = false;
  const look = async (): Promise<void> => {
    const now = await Promise.all(imports.map(({ name }) => readController(name)));
    const lost = now.find((c) => c !== null && c.state !== "live");
    if (lost) loss.abort(new MeshStorError("CommandTimedOut", `the connection ${lost.name} below array ${array} was lost: that is dealt with first`));
  };
  await look();
  loss.signal.throwIfAborted();
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    void look()
      .catch(() => {}) // Looked at again.
      .finally(() => (busy = false));
  }, LOOK_MS);
  try {
    await whatEnds.run(loss.signal, work);
  } finally {
    clearInterval(timer);
  }
}
