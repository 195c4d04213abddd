/** Who else uses a device: nvmet opens its backing devices without an exclusive holder, so O_EXCL does not see it (Z13). */
import { close, constants, open } from "node:fs";
import { realpath } from "node:fs/promises";
import { MeshStorError } from "../../base/errors.ts";
import { diskOf, holdersOf, node } from "../block.ts";
import { allNamespaces } from "./tree.ts";

/** NQNs of nvmet subsystems with a namespace on this device or on the whole disk it is a partition of. */
export async function exportsOf(device: string): Promise<string[]> {
  const nodes = new Set([node(device), node(await diskOf(device))]);
  const spaces = (await allNamespaces()).filter((n) => n.devicePath !== "");
  const real = await Promise.all(spaces.map((n) => realpath(n.devicePath).catch(() => n.devicePath)));
  return spaces.filter((_, index) => nodes.has(real[index]!)).map((n) => n.nqn);
}

/**
 * Throws Unsafe unless nobody uses the device: no holder in the kernel, no nvmet export other than
 * `except`, and an exclusive open succeeds (I2, Z13).
 */
export async function assertUnused(device: string, except: string | null = null): Promise<void> {
  const holders = await holdersOf(device);
  if (holders.length > 0) throw new MeshStorError("Unsafe", `${device} is in use by ${holders.join(", ")}`);
  const exported = (await exportsOf(device)).filter((nqn) => nqn !== except);
  if (exported.length > 0) throw new MeshStorError("Unsafe", `${device} is exported as ${exported.join(", ")}`);
  await openExclusive(device);
}

/** Opens with O_EXCL, which on a block device means "no other exclusive opener" (open(2)), and closes again. */
function openExclusive(device: string): Promise<void> {
  return new Promise((resolve, reject) => {
    open(node(device), constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK, (error, fd) => {
      if (error) return reject(new MeshStorError("Unsafe", `${device} cannot be opened exclusively: ${error.code}`, { cause: error }));
      close(fd, () => resolve());
    });
  });
}
