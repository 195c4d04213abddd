/**
 * csi-sanity against the real driver: controller and node program in one guest, volumes of two copies over two nodes. @minutes 25
 *
 * csi-sanity makes and removes mount points, so it runs where the node program does; the controller runs there too, because
 * csi-sanity wants both on sockets of one machine.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { runSanity, summaryOf, type SanitySpec } from "../../lab/kubernetes/sanity.ts";
import type { GuestProcess } from "../../lab/guest/guest.ts";
import { GUEST_SOCKET } from "../../lab/world/node-program.ts";
import { eventually } from "../../lab/world/wait.ts";
import { World } from "../../lab/world/world.ts";
import { ensurePeers, peerVersion } from "../../tools/setup/peers.ts";
import { report } from "./report.ts";

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const CONTROLLER_SOCKET = "/run/meshstor/controller.sock";

/** What we do not offer, by csi-sanity's own word for it, and why. Any other skip is a failure. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  "Snapshot not supported": "no snapshots",
  "ListSnapshots not supported": "no snapshots",
  "GetSnapshot not supported": "no snapshots",
  "DeleteSnapshot not supported": "no snapshots",
  "CreateSnapshot not supported": "no snapshots",
  "SNAPSHOT_ACCESSIBILITY_CONSTRAINTS not supported": "no snapshots",
  "Volume Cloning not supported": "no clones",
  "GroupControllerService not supported": "no group snapshots",
  "VolumeGroupSnapshots not supported": "no group snapshots",
  "ControllerPublishVolume not supported": "attachRequired is false: a node attaches by itself",
  "ControllerPublishVolume.readonly field not supported": "attachRequired is false: a node attaches by itself",
  "ControllerUnpublishVolume not supported": "attachRequired is false: a node attaches by itself",
  "Controller Publish, UnpublishVolume not supported": "attachRequired is false: a node attaches by itself",
  "ControllerGetVolumeHealth not supported": "CSI 1.13; kubelet 1.36 reads the volume's condition of CSI 1.12",
  "ControllerListVolumeHealth not supported": "CSI 1.13; kubelet 1.36 reads the volume's condition of CSI 1.12",
  "NodeGetVolumeHealth not supported": "CSI 1.13; kubelet 1.36 reads the volume's condition of CSI 1.12",
  "NodeGetStorageHealth not supported": "CSI 1.13; kubelet 1.36 reads the volume's condition of CSI 1.12",
};

let world: World;
let controller: GuestProcess;
before(async () => {
  const drives = [{ size: 8 * GiB }, { size: 8 * GiB }];
  world = await World.up({ nodes: ["n1", "n2"].map((name) => ({ name, drives })) });
  await world.controller.stop();
  controller = await world.node("n1").startController(CONTROLLER_SOCKET);
});
after(async () => {
  controller?.kill("SIGTERM");
  await world?.down();
});

test("csi-sanity: no failure, and skips only for what is not offered", async (t) => {
  const guest = world.lab.guest("n1");
  const { "csi-sanity": program } = await ensurePeers(["csi-sanity"]);
  const { specs } = await runSanity(guest, {
    program: world.lab.share("csi-sanity", program),
    nodeSocket: GUEST_SOCKET,
    controllerSocket: CONTROLLER_SOCKET,
    dir: "/var/lib/kubelet/sanity",
    size: 512 * MiB,
    expandedSize: 768 * MiB,
    parameters: { numberOfCopies: "2" },
    mutableParameters: { numberOfCopies: "1" },
    timeoutMs: 25 * 60_000,
  });
  for (const spec of specs) {
    await t.test(spec.name, (each) => {
      if (spec.outcome === "pending") return each.skip("csi-sanity itself does not run it");
      const reason = NOT_OFFERED[spec.why.replace(/^skipped - /, "")];
      if (spec.outcome === "skipped" && reason !== undefined) return each.skip(reason);
      assert.equal(spec.outcome, "passed", spec.why);
    });
  }
  tell(specs);
});

test("nothing is left behind", async () => {
  await eventually("no volume is left", 120, async () => {
    const left = (await world.kubectl("get", "msvol", "-o", "name")).trim().split("\n").filter(Boolean);
    return left.length === 0 || `left: ${left.join(", ")}`;
  });
  for (const name of world.names) {
    const found = await world.lab.guest(name).sh("lsblk -rno TYPE | grep -E '^(part|raid)' || :; grep -c kubernetes.io/csi /proc/mounts || :");
    assert.equal(found, "0", `partitions, arrays or mounts are left on ${name}`);
  }
});

function tell(specs: readonly SanitySpec[]): void {
  const why = (spec: SanitySpec) => NOT_OFFERED[spec.why.replace(/^skipped - /, "")] ?? spec.why.split("\n")[0];
  for (const spec of specs.filter(({ outcome }) => outcome !== "passed")) report(`csi-sanity ${spec.outcome}: ${spec.name}: ${why(spec)}`);
  report(`csi-sanity ${peerVersion("csi-sanity")}: ${summaryOf(specs)}`);
}
