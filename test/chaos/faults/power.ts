/** Power cuts: of a provider, of the owner, of one after the other, of all at once. */
import type { Fault } from "../fault.ts";
import { Violation, type Stage } from "../stage.ts";

export const POWER: readonly Fault[] = [
  {
    name: "provider-power",
    title: "The provider loses power under load and returns.",
    run: async (stage) => {
      stage.begin("power of the provider is cut");
      await stage.powerOff(stage.other);
      await stage.untilOut(stage.other);
      await stage.progress(50);
      await stage.world.powerOn(stage.other);
    },
  },
  {
    name: "owner-power-taken",
    title: "The owner loses power and is declared out of service; the provider's node takes over; the former owner returns.",
    run: async (stage) => {
      stage.begin("power of the owner is cut");
      await stage.powerOff(stage.home);
      await stage.outOfService(stage.home, true);
      await stage.takeOver(stage.other);
      await stage.world.powerOn(stage.home);
      await stage.outOfService(stage.home, false);
    },
  },
  {
    name: "owner-power-returns",
    title: "The owner loses power and returns; the pod starts there again.",
    run: async (stage) => {
      stage.begin("power of the owner is cut");
      await stage.powerOff(stage.home);
      await stage.world.powerOn(stage.home);
      await stage.workOn(stage.home);
    },
  },
  {
    name: "owner-then-taker-power",
    title: "The owner loses power, another node takes over and loses power as well; both return.",
    run: async (stage) => {
      stage.begin("power of the owner is cut");
      await stage.powerOff(stage.home);
      await stage.outOfService(stage.home, true);
      await stage.takeOver(stage.other);
      await stage.powerOff(stage.other);
      await Promise.all([stage.world.powerOn(stage.home), stage.world.powerOn(stage.other)]);
      await stage.outOfService(stage.home, false);
      await stage.workOn(stage.other);
    },
  },
  {
    name: "provider-then-owner-power",
    title: "The provider loses power, then the owner; the provider returns first and must not serve what it has.",
    run: async (stage) => {
      stage.begin("power of the provider is cut");
      await stage.powerOff(stage.other);
      await stage.untilOut(stage.other);
      await stage.progress(50);
      await stage.powerOff(stage.home);
      await stage.world.powerOn(stage.other);
      await stage.outOfService(stage.home, true);
      if (stage.spec.copies > 2) await stage.takeOver(stage.other);
      else await refused(stage);
      await stage.world.powerOn(stage.home);
      await stage.outOfService(stage.home, false);
      if (stage.spec.copies === 2) await stage.workOn(stage.home);
    },
  },
  {
    name: "all-power",
    title: "All nodes lose power at once and return.",
    run: async (stage) => {
      stage.begin("power of all nodes is cut");
      await Promise.all(stage.world.names.map((name) => stage.powerOff(name)));
      await Promise.all(stage.world.names.map((name) => stage.world.powerOn(name)));
      await stage.workOn(stage.home);
    },
  },
];

/** A stale copy is not served: the call says which node has the last good one. */
async function refused(stage: Stage): Promise<void> {
  const { world, other, home, id } = stage;
  const answer = await world
    .node(other)
    .stage(id, 40)
    .then(
      () => null,
      (error: Error) => error.message,
    );
  if (answer === null) throw new Violation(`${other} serves a copy that the record does not name in sync`);
  if (!answer.includes(home)) throw new Error(`the refusal does not name ${home}: ${answer}`);
  stage.engaged(`${other} refused: ${answer}`);
}
