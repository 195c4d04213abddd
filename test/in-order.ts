/** Tests of one file that build on each other. */
import { test, type TestContext } from "node:test";

/** Like node:test's `test`; after one that failed the others are skipped, and say which one it was. */
export function inOrder(): (name: string, work: (t: TestContext) => Promise<void>) => void {
  let broken = "";
  return (name, work) => {
    test(name, async (t) => {
      if (broken) return t.skip(`"${broken}" failed`);
      broken = name;
      await work(t);
      broken = "";
    });
  };
}
