/** Drives that hang, answer with errors, or are pulled out: the provider's, and the owner's own. */
import { driveFaults } from "../../../lab/guest/drives.ts";
import { sleep } from "../../../lab/world/wait.ts";
import { driveOf } from "../drive-of.ts";
import type { Fault } from "../fault.ts";

const OWN_HANG_MS = 20_000;

type Where = "other" | "home";

function driveFault(where: Where, kind: "hang" | "fail" | "failWrites", words: string): Fault {
  const whose = where === "other" ? "provider" : "owner";
  return {
    name: `${whose}-drive-${kind === "failWrites" ? "fails-writes" : `${kind}s`}`,
    title: `The ${whose}'s drive ${words}; later it works again.`,
    run: async (stage) => {
      const [node, guest] = [stage[where], stage.guest(stage[where])];
      const drive = await driveOf(stage, node);
      stage.begin(`drive ${drive} of ${node} ${words}`);
      await driveFaults[kind](guest, drive);
      await stage.untilOut(node, 90, 0);
      await stage.progress(50, 90);
      await driveFaults.heal(guest, drive);
    },
  };
}

export const DRIVE: readonly Fault[] = [
  driveFault("other", "hang", "takes requests and answers none"),
  driveFault("other", "fail", "answers every request with an error"),
  driveFault("other", "failWrites", "answers every write with an error"),
  {
    name: "owner-drive-hangs",
    title: "The owner's own drive takes requests and answers none for a while: writes are held, as by any drive, and go on.",
    // A drive behind PCI is reset by its kernel after nvme_core.io_timeout; that of a process guest never is.
    only: "process",
    run: async (stage) => {
      const [node, guest] = [stage.home, stage.guest(stage.home)];
      const drive = await driveOf(stage, node);
      stage.begin(`drive ${drive} of ${node} takes requests and answers none`);
      await driveFaults.hang(guest, drive);
      const held = await stage.untilHeld();
      stage.engaged(`no record was acknowledged behind ${held}`);
      await sleep(OWN_HANG_MS);
      await driveFaults.heal(guest, drive);
      await stage.progress(50, 90);
    },
  },
  driveFault("home", "fail", "answers every request with an error"),
  {
    name: "provider-drive-pulled",
    title: "The provider's drive is pulled out, and is there again when its node has rebooted.",
    run: async (stage) => {
      const drive = await driveOf(stage, stage.other);
      stage.begin(`drive ${drive} of ${stage.other} is pulled`);
      await driveFaults.pull(stage.guest(stage.other), drive);
      await stage.untilOut(stage.other, 90, 0);
      await stage.progress(50, 90);
      await stage.powerOff(stage.other);
      await stage.world.powerOn(stage.other);
    },
  },
  {
    name: "owner-drive-pulled",
    title: "The owner's own drive is pulled out; the volume goes on from the provider's; the owner is replaced and reboots.",
    run: async (stage) => {
      const drive = await driveOf(stage, stage.home);
      stage.begin(`drive ${drive} of ${stage.home} is pulled`);
      await driveFaults.pull(stage.guest(stage.home), drive);
      await stage.untilOut(stage.home, 90, 0);
      await stage.progress(50, 90);
      await stage.powerOff(stage.home);
      await stage.outOfService(stage.home, true);
      await stage.takeOver(stage.other);
      await stage.world.powerOn(stage.home);
      await stage.outOfService(stage.home, false);
    },
  },
];
