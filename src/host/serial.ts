/** One at a time by key, first come first served, for host state that several volumes share (a drive's table, nvmet's ports, MD's minors). */
const tails = new Map<string, Promise<unknown>>();

/** Runs `work` after everything that was queued under `key` before; its failure does not stop the queue. */
export function serially<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = tails.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  const tail = mine.catch(() => {});
  tails.set(key, tail);
  void tail.then(() => {
    if (tails.get(key) === tail) tails.delete(key);
  });
  return mine;
}
