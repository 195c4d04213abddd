/** What MeshStor adds to the lab's command: the API server, the controller and the node programs, and `kubectl`. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Command } from "commander";
import type { Lab } from "./cluster.ts";
import { ControlPlane } from "./control-plane/control-plane.ts";
import type { LabHooks } from "./hooks.ts";
import { labPaths } from "./state.ts";
import { World } from "./world/world.ts";

const planeOf = (lab: Lab) => ControlPlane.attach(join(labPaths(lab.id).dir, "control-plane"));

/** The hooks that lab/hooks.ts puts in force. */
export const productHooks: LabHooks = {
  afterUp: async (lab, progress) => {
    await World.install(lab, { detached: true, say: progress });
  },
  afterPowerOn: async (lab, name) => {
    await (await World.attach(lab.id)).node(name).start();
  },
  beforeDown: async (lab) => {
    const world = await World.attach(lab.id).catch(() => null);
    await world?.controller.stop();
    await world?.plane.stop();
  },
  addCommands: (program: Command, attach: () => Lab) => {
    program
      .command("kubectl")
      .description("kubectl of the lab's cluster, as its administrator")
      .argument("[words...]", "what follows kubectl")
      .allowUnknownOption()
      .passThroughOptions()
      .action(async (words: string[]) => {
        const [command = "", ...argv] = (await planeOf(attach())).kubectlCommand(words);
        process.exitCode = spawnSync(command, argv, { stdio: "inherit" }).status ?? 1;
      });
  },
};
