/** Says, as events, what only a controller changes in a record; seen in its own watch, so each change once. */
import type { MeshStorVolume } from "../api/volume.ts";
import { placementTellings, wishTellings } from "../core/tellings.ts";
import { type EventRecorder, referenceTo } from "../kube/events.ts";

export class Teller {
  readonly #events: Pick<EventRecorder, "tell">;
  readonly #seen = new Map<string, MeshStorVolume>();

  constructor(events: Pick<EventRecorder, "tell">) {
    this.#events = events;
  }

  /** A volume as it is now; null: it is gone. */
  saw(name: string, volume: MeshStorVolume | null): void {
    const before = this.#seen.get(name);
    if (volume === null) return void this.#seen.delete(name);
    this.#seen.set(name, volume);
    if (before === undefined || before.metadata.uid !== volume.metadata.uid) return;
    for (const telling of wishTellings(before.spec, volume)) this.#events.tell({ regarding: referenceTo(volume), ...telling });
    for (const telling of placementTellings(before.status ?? {}, volume)) this.#events.tell({ regarding: referenceTo(volume), ...telling });
  }
}
