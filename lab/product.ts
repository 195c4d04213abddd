/** What MeshStor adds to the lab's command: API server, controller and node programs, their columns, `kubectl`, volumes. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Command } from "commander";
import type { Lab } from "./cluster.ts";
import { ControlPlane } from "./control-plane/control-plane.ts";
import type { LabHooks } from "./hooks.ts";
import { labPaths } from "./state.ts";
import type { GuestRow } from "./status.ts";
import { addVolumeCommands } from "./volume-commands.ts";
import { nodeColumns, type Listed } from "./world/node-columns.ts";
import { World } from "./world/world.ts";

const planeOf = (lab: Lab) => ControlPlane.attach(join(labPaths(lab.id).dir, "control-plane"));

/** MeshStor in the lab's command. */
export const productHooks: LabHooks = {
  afterUp: async (lab, progress) => {
    await World.install(lab, { detached: true, say: progress });
  },
  afterPowerOn: async (lab, name) => {
    await (await World.attach(lab.id)).node(name).start();
  },
  status: columns,
  addCommands: (program, attach) => {
    addKubectl(program, attach);
    addVolumeCommands(program, attach);
  },
};

/** From one look at the API; a lab whose API server does not answer says so in every row. */
async function columns(lab: Lab): Promise<ReadonlyMap<string, GuestRow>> {
  try {
    const { stdout } = await (await planeOf(lab)).kubectl(["get", "msnd,msvol,leases", "--namespace=meshstor", "--output=json", "--request-timeout=10s"]);
    return nodeColumns(lab.names, (JSON.parse(stdout) as { items: Listed[] }).items, Date.now());
  } catch {
    return new Map(lab.names.map((name) => [name, { meshstor: "the API server does not answer" }]));
  }
}

function addKubectl(program: Command, attach: () => Lab): void {
  program
    .command("kubectl")
    .description("kubectl of the lab's cluster, as its administrator")
    .argument("[words...]", "what follows kubectl")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) => {
      const [command = "", ...argv] = (await planeOf(attach())).kubectlCommand(words);
      process.exitCode = spawnSync(command, argv, { stdio: "inherit" }).status ?? 1;
    });
}
