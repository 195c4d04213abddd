/** What the API server enforces by its schema (api/crd.ts), as a rule over the versions of the record: nothing goes back in time. */
import type { MeshStorVolume, MirrorRecord, VolumeStatus } from "../src/api/volume.ts";
import type { World } from "../src/core/testing/world.ts";
import { violated } from "../src/core/testing/world.ts";

/** Versions that were looked at; a version never changes, and is followed by the same one in every copy of a world. */
const checked = new WeakSet<MeshStorVolume>();

/** Looks at every version that came since the last call. */
export function checkRecord(world: World): void {
  const { versions } = world.api;
  for (let i = versions.length - 1; i > 0; i -= 1) {
    const version = versions[i];
    if (!version) continue;
    if (checked.has(version)) return;
    checked.add(version);
    checkVersion(versions[i - 1]!, version);
  }
}

/** The next version of the record against the one before. */
export function checkVersion(before: MeshStorVolume | null, after: MeshStorVolume | null): void {
  if (!before || !after) return;
  const [old, now] = [before.status ?? {}, after.status ?? {}];
  if ((now.epoch ?? 0) < (old.epoch ?? 0)) violated("record", `the epoch goes back from ${old.epoch} to ${now.epoch}`);
  if (now.owner && ownerName(now) !== ownerName(old) && (now.epoch ?? 0) <= (old.epoch ?? 0)) violated("record", `owner ${now.owner.nodeName} appears without a higher epoch`);
  for (const mirror of old.mirrors ?? []) checkMirror(mirror, now.mirrors?.[mirror.index]);
}

function checkMirror(old: MirrorRecord, now: MirrorRecord | undefined): void {
  if (!now) violated("record", `mirror ${old.index} leaves the record`);
  if (now.generation < old.generation) violated("record", `the generation of mirror ${old.index} goes back`);
  const same = now.inSync.toSorted().join() === old.inSync.toSorted().join();
  if (now.generation === old.generation && !same) violated("record", `R of mirror ${old.index} changes in generation ${old.generation}`);
}

function ownerName(status: VolumeStatus): string {
  return status.owner ? `${status.owner.nodeUID} ${status.owner.bootID}` : "";
}
