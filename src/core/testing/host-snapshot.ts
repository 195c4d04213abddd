/** What a node of the model sees of its own kernel: the HostSnapshot that the planner is given. */
import { volumeDeviceName } from "../../api/names.ts";
import { GiB, MiB } from "../../base/units.ts";
import type { DriveTable, HostSnapshot, Mirror } from "../observed.ts";
import type { ArrayState, ConnState, DriveState, NodeState, Part, WindowState } from "./world.ts";
import { bootID } from "./world.ts";
import { degradedBy } from "./md.ts";

export const DRIVE_BYTES = 8 * GiB;
export const VOLUME_DEVICE = "dm-200";

export function partDevice(drive: DriveState, part: Part): string {
  return `${drive.device}p${part.number}`;
}
export function connDevice(c: ConnState): string {
  return `nvme${4 + c.slot}n1`;
}
export function controllerOf(c: ConnState): string {
  return `nvme${4 + c.slot}`;
}
export function windowDevice(win: WindowState): string {
  return `dm-${win.slot}`;
}
export function arrayDevice(array: ArrayState): string {
  return `md${127 - array.slot}`;
}

/** Device below a window; null once the drive or the connection is gone. */
export function belowOf(win: WindowState): string | null {
  if (win.conn) return win.conn.gone ? null : connDevice(win.conn);
  const drive = win.drive!;
  return drive.present && drive.incarnation === win.incarnation ? partDevice(drive, win.part) : null;
}

export function snapshotOf(n: NodeState, volume: { name: string; uid: string }, nowMs: number): HostSnapshot {
  const drives = n.drives.filter((d) => d.present);
  return {
    bootID: bootID(n),
    takenAtMs: nowMs,
    drives: drives.map((d) => ({ id: d.id, device: d.device, model: "model", serial: d.id, sizeBytes: DRIVE_BYTES, sectorSize: 512, readOnly: false, writeZeroes: true })),
    partitions: drives.flatMap((d) =>
      d.parts.map((p) => ({
        uuid: p.uuid,
        drive: d.id,
        device: partDevice(d, p),
        number: p.number,
        startBytes: p.startBytes,
        sizeBytes: p.sizeBytes,
        holders: n.windows.filter((x) => x.drive === d && x.part === p && x.incarnation === d.incarnation).map(windowDevice),
      })),
    ),
    ...fabricOf(n),
    windows: n.windows.map((x) => ({
      device: windowDevice(x),
      name: `msmember-${x.uuid}`,
      partitionUUID: x.uuid,
      epoch: x.epoch,
      below: belowOf(x),
      sizeBytes: x.sizeBytes,
      suspended: false,
      inflight: 0,
      completed: 0,
    })),
    mirrors: n.arrays.map((a) => mirrorOf(n, a)),
    volumeDevices: n.volumeDevice
      ? [
          {
            device: VOLUME_DEVICE,
            name: volumeDeviceName(volume.name),
            volumeUID: volume.uid,
            sizeBytes: n.volumeDevice.sizeBytes,
            below: n.volumeDevice.failed ? [] : n.volumeDevice.below.map(arrayDevice).sort(),
            // With a request held the suspend waits there; nothing new gets through either way (Z14).
            suspended: n.volumeDevice.suspended && n.volumeDevice.below.every((a) => a.writes.length === 0),
            suspending: n.volumeDevice.suspended && n.volumeDevice.below.some((a) => a.writes.length > 0),
            failed: n.volumeDevice.failed,
            guarded: n.volumeDevice.guard?.nqns ?? null,
          },
        ]
      : [],
    mounts: n.mounts.map((m) => ({ target: m.target, device: VOLUME_DEVICE, fsType: "xfs", readOnly: false, root: "/", shutDown: n.shutDown })),
    stranded: 0,
  };
}

/** What goes over the network, from both ends. */
function fabricOf(n: NodeState): Pick<HostSnapshot, "exports" | "connections"> {
  return {
    exports: n.exports.map((e) => ({
      nqn: e.nqn,
      partitionUUID: e.part.uuid,
      epoch: e.epoch,
      attach: e.attach,
      devicePath: `/dev/${e.device}`,
      enabled: e.ready,
      allowedHosts: e.ready ? [e.hostNQN] : [],
      ports: e.ready ? ["1"] : [],
    })),
    connections: n.conns.map((c) => ({
      controller: controllerOf(c),
      nqn: c.nqn,
      partitionUUID: c.uuid,
      epoch: c.epoch,
      attach: c.attach,
      state: c.state,
      device: connDevice(c),
      sizeBytes: c.export.part.sizeBytes,
    })),
  };
}

function mirrorOf(n: NodeState, a: ArrayState): Mirror {
  return {
    device: arrayDevice(a),
    arrayUUID: a.arrayUUID,
    arrayState: "active",
    raidDisks: a.raidDisks,
    degraded: degradedBy(a),
    syncAction: a.frozen ? "frozen" : a.recovering ? "recover" : "idle",
    syncCompleted: a.recovering ? { done: 1, total: 2 } : null,
    syncSpeedKiB: 0,
    hasBitmap: true,
    sizeBytes: a.sizeBytes,
    members: a.members.map((m, i) => ({
      device: windowDevice(m.window),
      partitionUUID: m.window.uuid,
      flags: [...(m.faulty ? ["faulty"] : m.inSync ? ["in_sync"] : ["spare"]), ...(m.writeMostly ? ["write_mostly"] : [])],
      slot: m.faulty ? null : i,
    })),
    holders: n.volumeDevice?.below.includes(a) && !n.volumeDevice.failed ? [VOLUME_DEVICE] : [],
  };
}

/** Tables of the drives, as the inventory has read them. */
export function tablesOf(n: NodeState): Map<string, DriveTable> {
  return new Map(
    n.drives
      .filter((d) => d.present)
      .map((d) => [
        d.id,
        {
          drive: d.id,
          label: "gpt",
          firstUsableByte: MiB,
          lastUsableByte: DRIVE_BYTES - MiB - 1,
          entries: d.parts.map((p) => ({ number: p.number, startBytes: p.startBytes, sizeBytes: p.sizeBytes, uuid: p.uuid, type: "", name: "" })),
          maxEntries: 128,
          signature: null,
          usedBy: null,
        } satisfies DriveTable,
      ]),
  );
}
