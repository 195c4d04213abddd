/** `volume create|mount|unmount|delete`: what the provisioner and kubelet would ask for, by hand. */
import type { Command } from "commander";
import { bytes } from "./arguments.ts";
import type { Lab } from "./cluster.ts";
import type { NodeProgram } from "./world/node-program.ts";
import { createVolume, deleteVolume } from "./world/volumes.ts";
import { World } from "./world/world.ts";

interface CreateOptions {
  readonly size: number;
  readonly parameter: Readonly<Record<string, string>>;
  readonly node: readonly string[];
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function parameter(text: string, before: CreateOptions["parameter"]): CreateOptions["parameter"] {
  const [name = "", ...value] = text.split("=");
  return { ...before, [name]: value.join("=") };
}

/** The node program of a guest that has power. */
function nodeOf(world: World, name: string): NodeProgram {
  const { state } = world.lab.guest(name);
  if (state !== "on") throw new Error(`${name} is ${state}`);
  return world.node(name);
}

/** Adds the verbs; `attach` gives the lab that the command line names. */
export function addVolumeCommands(program: Command, attach: () => Lab): void {
  const volume = program.command("volume").description("make, mount and delete volumes as kubelet and the provisioner would");
  const world = () => World.attach(attach().id);

  volume
    .command("create <name>")
    .description("CreateVolume")
    .option("--size <size>", "of the volume", bytes, 512 * 1024 ** 2)
    .option("-p, --parameter <name=value>", "of the StorageClass, repeatable: numberOfCopies=2", parameter, {})
    .option("-n, --node <name>", "that shall hold a copy, repeatable; the pod's node first", (name: string, before: readonly string[]) => [...before, name], [])
    .action(async (name: string, { size, parameter: parameters, node: preferred }: CreateOptions) => {
      const id = await createVolume(await world(), name, { size, parameters, preferred });
      say(`volume ${id} is provisioned`);
    });

  volume
    .command("mount <name> <guest>")
    .description("NodeStageVolume and NodePublishVolume; prints the path in the guest")
    .action(async (name: string, guest: string) => say(await nodeOf(await world(), guest).mount(name)));

  volume
    .command("unmount <name> <guest>")
    .description("NodeUnpublishVolume and NodeUnstageVolume")
    .action(async (name: string, guest: string) => {
      await nodeOf(await world(), guest).unmount(name);
      say(`volume ${name} is given up by ${guest}`);
    });

  volume
    .command("delete <name>")
    .description("DeleteVolume, and waits until its partitions are wiped")
    .action(async (name: string) => {
      await deleteVolume(await world(), name);
      say(`volume ${name} is gone`);
    });
}
