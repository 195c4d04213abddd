/** Cuts of the storage network: packets vanish, interfaces stay up. */
import { sleep } from "../../../lab/world/wait.ts";
import type { Fault } from "../fault.ts";
import type { Stage } from "../stage.ts";

const HOST = "host";

/** Longer than every wait of the protocol but the silence after which a node is replaced. */
const API_CUT_MS = 30_000;

/** Packets of owner and provider vanish, at least in one direction: the provider is recorded out and comes back. */
function loss(name: string, title: string, cut: (stage: Stage) => Promise<void>): Fault {
  return {
    name,
    title,
    run: async (stage) => {
      stage.begin("the network is cut");
      await cut(stage);
      await stage.untilOut(stage.other);
      await stage.progress(50);
      await healed(stage);
    },
  };
}

/** A node does not reach the API for a while, which costs nothing. */
function withoutApi(name: string, title: string, node: (stage: Stage) => string): Fault {
  return {
    name,
    title,
    run: async (stage) => {
      stage.begin(`${node(stage)} is cut off from the API`);
      await stage.world.lab.net.cut(node(stage), HOST);
      await sleep(API_CUT_MS);
      await stage.progress(50);
      await healed(stage);
    },
  };
}

export const NETWORK: readonly Fault[] = [
  loss("cut-to-provider", "Packets from the owner to the provider vanish.", ({ world, home, other }) => world.lab.net.cut(home, other, { oneWay: true })),
  loss("cut-from-provider", "Packets from the provider to the owner vanish.", ({ world, home, other }) => world.lab.net.cut(other, home, { oneWay: true })),
  loss("cut-provider", "Owner and provider are cut off from each other.", ({ world, home, other }) => world.lab.net.cut(home, other)),
  loss("isolated-provider", "The provider is cut off from everybody.", ({ world, other }) => world.lab.net.isolate(other)),
  withoutApi("owner-without-api", "The owner is cut off from the API only.", (stage) => stage.home),
  withoutApi("provider-without-api", "The provider is cut off from the API only.", (stage) => stage.other),
  {
    name: "owner-without-api-taken",
    title: "The owner is cut off from the API only, and replaced when it has been silent for long enough.",
    run: async (stage) => {
      stage.begin("the owner is cut off from the API");
      await stage.world.lab.net.cut(stage.home, HOST);
      await takenForSilence(stage, stage.other);
    },
  },
  {
    name: "isolated-owner-taken",
    title: "The owner is cut off from everybody, and replaced when it has been silent for long enough.",
    run: async (stage) => {
      stage.begin("the owner is cut off from everybody");
      await stage.world.lab.net.isolate(stage.home);
      await stage.untilHeld();
      await takenForSilence(stage, stage.third);
    },
  },
  {
    name: "isolated-owner-returns",
    title: "The owner is cut off from everybody for a while: suspended, and resumed.",
    run: async (stage) => {
      stage.begin("the owner is cut off from everybody");
      await stage.world.lab.net.isolate(stage.home);
      await stage.untilHeld();
      await sleep(15_000);
      await healed(stage);
      await stage.progress(50, 120);
    },
  },
];

async function takenForSilence(stage: Stage, by: string): Promise<void> {
  await stage.takeOver(by);
  await healed(stage);
  await stage.untilTornDown(stage.home);
}

async function healed(stage: Stage): Promise<void> {
  const dropped = await stage.world.lab.net.dropped();
  if (dropped > 0) stage.engaged(`${dropped} packets vanished`);
  await stage.world.lab.net.heal();
}
