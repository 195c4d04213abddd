/**
 * A provider with Debian's own kernel and PCI drives shuts down in order under load: its kernel stops drives before the network card, and the owner must hear of no error (experiment 8, Z12).
 * Boots an emulated guest, which takes a minute: @byname
 * @minutes 8
 */
import { after, before, test } from "node:test";
import { Lab } from "../../lab/cluster.ts";
import { GiB } from "../../src/base/units.ts";
import { connect, exportDevice, kernelName, makeMirror, prepare, slice } from "./raw.ts";
import { shutDownUnderLoad } from "./shutdown-under-load.ts";

let lab: Lab;

before(async () => {
  const drives = [{ size: 4 * GiB }];
  lab = await Lab.create({
    nodes: [
      { name: "n1", drives },
      { name: "n2", drives, kind: "emulated" },
    ],
  });
});
after(async () => lab.destroy());

test("8: orderly shutdown of a provider with PCI drives under load: silence, no error (Z12)", async (t) => {
  const [owner, provider] = [lab.guest("n1"), lab.guest("n2")];
  await provider.sh("modprobe -a nvmet nvmet-tcp dm-mod || true");
  await Promise.all([owner, provider].map(prepare));
  await slice(owner, "local", 0);
  await slice(provider, "e1", 0);
  const { ipv4 } = lab.net.addresses("n2");
  await exportDevice(provider, ipv4, "off", "/dev/mapper/e1");
  const path = await connect(owner, ipv4, "off");
  await makeMirror(owner, ["mapper/local"], [path.device]);
  t.diagnostic(`provider's kernel ${await provider.sh("uname -r")}`);
  await shutDownUnderLoad(t, owner, provider, path, await kernelName(owner, path.device));
});
