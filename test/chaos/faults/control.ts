/** The API server, the controller and the node programs go away; the clock of a node is wrong. */
import { driveFaults } from "../../../lab/guest/drives.ts";
import { sleep } from "../../../lab/world/wait.ts";
import { driveOf } from "../drive-of.ts";
import type { Fault } from "../fault.ts";
import type { Stage } from "../stage.ts";

const API_DOWN_MS = 30_000;
const PROGRAMS_DOWN_MS = 15_000;

async function apiDown(stage: Stage): Promise<void> {
  await stage.world.plane.kill(["apiserver"]);
  if (stage.world.plane.pids().apiserver !== undefined) throw new Error("the API server still runs");
  stage.engaged("the API server was killed");
}

async function programKilled(stage: Stage, node: string): Promise<void> {
  await stage.world.node(node).kill();
  stage.engaged(`the node program on ${node} was killed`);
}

export const CONTROL: readonly Fault[] = [
  {
    name: "api-down",
    title: "The API server dies and is started again half a minute later.",
    run: async (stage) => {
      stage.begin("the API server is killed");
      await apiDown(stage);
      await sleep(API_DOWN_MS);
      await stage.progress(50);
      await stage.world.plane.start();
    },
  },
  {
    name: "api-hangs",
    title: "The API server hangs: connections stay open and nothing is answered.",
    run: async (stage) => {
      stage.begin("the API server is stopped");
      stage.world.plane.pause(["apiserver"]);
      stage.engaged("the API server was stopped");
      await sleep(API_DOWN_MS);
      await stage.progress(50);
      stage.world.plane.resume(["apiserver"]);
    },
  },
  {
    name: "api-down-provider-power",
    title: "The provider loses power while there is no API server: writes are held until its loss is recorded.",
    run: async (stage) => {
      stage.begin("the API server is killed, and the provider loses power");
      await apiDown(stage);
      await stage.powerOff(stage.other);
      await stage.untilHeld();
      await stage.world.plane.start();
      await stage.untilOut(stage.other);
      await stage.progress(50);
      await stage.world.powerOn(stage.other);
    },
  },
  {
    name: "api-down-owner-power",
    title: "The owner loses power while there is no API server; it is replaced as soon as there is one.",
    run: async (stage) => {
      stage.begin("the API server is killed, and the owner loses power");
      await apiDown(stage);
      await stage.powerOff(stage.home);
      await stage.world.plane.start();
      await stage.outOfService(stage.home, true);
      await stage.takeOver(stage.other);
      await stage.world.powerOn(stage.home);
      await stage.outOfService(stage.home, false);
    },
  },
  {
    name: "api-down-owner-drive-fails",
    title: "The owner's drive fails while there is no API server: MD goes on without it, and within moments the volume is suspended until that is recorded.",
    run: async (stage) => {
      const [node, guest] = [stage.home, stage.guest(stage.home)];
      const drive = await driveOf(stage, node);
      stage.begin(`the API server is killed, and drive ${drive} of ${node} answers every write with an error`);
      await apiDown(stage);
      await driveFaults.failWrites(guest, drive);
      await stage.untilHeld();
      await stage.expectSuspended(node);
      await stage.world.plane.start();
      await stage.untilOut(node, 60, 0);
      await stage.progress(50);
      await driveFaults.heal(guest, drive);
    },
  },
  {
    name: "programs-killed",
    title: "All programs of ours are killed and started again.",
    run: async (stage) => {
      const { world } = stage;
      stage.begin("controller and node programs are killed");
      await world.controller.kill();
      await Promise.all(world.names.map((name) => programKilled(stage, name)));
      await sleep(PROGRAMS_DOWN_MS);
      await stage.progress(50);
      await world.controller.start();
      await Promise.all(world.names.map((name) => world.node(name).start()));
    },
  },
  {
    name: "program-killed-provider-power",
    title: "The owner's program is killed, and the provider loses power: writes are held until the program is back.",
    run: async (stage) => {
      stage.begin("the owner's program is killed, and the provider loses power");
      await programKilled(stage, stage.home);
      await stage.powerOff(stage.other);
      await stage.untilHeld();
      await stage.world.node(stage.home).start();
      await stage.untilOut(stage.other);
      await stage.progress(50, 120);
      await stage.world.powerOn(stage.other);
    },
  },
  {
    name: "provider-wrong-clock",
    title: "The provider loses power and boots with a clock that is a day ahead.",
    run: async (stage) => {
      stage.begin("power of the provider is cut");
      await stage.powerOff(stage.other);
      await stage.untilOut(stage.other);
      await bootWithClock(stage, stage.other);
    },
    only: "process",
  },
  {
    name: "taker-wrong-clock",
    title: "The owner loses power and is replaced by a node whose clock is a day ahead; it returns.",
    run: async (stage) => {
      stage.begin("power of the provider is cut");
      await stage.powerOff(stage.other);
      await stage.untilOut(stage.other);
      await bootWithClock(stage, stage.other);
      await stage.untilWhole();
      await stage.powerOff(stage.home);
      await stage.outOfService(stage.home, true);
      await stage.takeOver(stage.other);
      await stage.world.powerOn(stage.home);
      await stage.outOfService(stage.home, false);
    },
    only: "process",
  },
];

/** Seconds ahead. A clock far behind keeps a program from the API: to it, the server's certificate is not valid yet; the lab's are minutes old. */
const AHEAD_S = 86_400;

/** Its clock is wrong from before its node program starts until its power is cut again. */
async function bootWithClock(stage: Stage, node: string): Promise<void> {
  const guest = stage.guest(node);
  await guest.powerOn();
  await guest.sh(`date -s "@$(($(date +%s) + ${AHEAD_S}))"`);
  await stage.world.node(node).start();
  const off = Number(await guest.sh("date +%s")) - Math.round(Date.now() / 1000);
  if (Math.abs(off - AHEAD_S) > 60) throw new Error(`the clock of ${node} is ${off} s ahead, not ${AHEAD_S}`);
  stage.engaged(`the clock of ${node} is ${off} s ahead`);
}
