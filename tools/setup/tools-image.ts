/** The one container image that pods of the lab run from, and that their sandboxes wait in: Debian's static busybox. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { unpackFromSuites } from "./apt.ts";
import { ensureArtefact } from "./cache.ts";
import { writeImage } from "./oci-image.ts";
import { run } from "./run.ts";
import type { ResultPaths, SetupStep } from "./step.ts";

const SUITE = "trixie";

/** The image's name in pods. */
export const TOOLS_IMAGE = "lab.local/tools:1";

/** For ever: a sandbox is ended by SIGKILL. */
const COMMAND = ["/bin/sleep", "2147483647"];

/** Builds (once) the image; returns its tar as `image`. */
export async function ensureToolsImage(): Promise<ResultPaths> {
  const dir = await ensureArtefact({
    name: "tools-image",
    version: SUITE,
    recipe: [
      TOOLS_IMAGE,
      ...COMMAND,
      ...["oci-image.ts", "../image/layout.ts", "../image/layers.ts", "tools-image.ts"].map((file) => readFileSync(join(import.meta.dirname, file), "utf8")),
    ],
    describe: "container image of the lab's pods: building",
    expected: "10 s",
    build,
  });
  return { image: join(dir, "image.tar") };
}

/** The step that the registry lists. */
export const toolsImageStep: SetupStep = { name: "tools-image", describe: "container image of the lab's pods", ensure: ensureToolsImage };

async function build(into: string): Promise<void> {
  const [debian, tree] = [join(into, "debian"), join(into, "tree")];
  for (const dir of [debian, ...["bin", "dev", "etc", "proc", "sys", "tmp"].map((name) => join(tree, name))]) mkdirSync(dir, { recursive: true });
  await unpackFromSuites([SUITE], ["busybox-static"], debian);
  const busybox = join(tree, "bin/busybox");
  copyFileSync(join(debian, "usr/bin/busybox"), busybox);
  for (const name of (await run([busybox, "--list"])).trim().split("\n")) if (name !== "busybox") symlinkSync("busybox", join(tree, "bin", name));
  await writeImage({ tree, reference: TOOLS_IMAGE, command: COMMAND }, into, join(into, "image.tar"));
  for (const dir of [debian, tree]) rmSync(dir, { recursive: true });
}
