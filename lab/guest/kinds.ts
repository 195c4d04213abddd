/** The registry of guest kinds: the one place that knows them all. */
import type { GuestFactory, GuestKind } from "./context.ts";
import { EmulatedGuest } from "./emulated/guest.ts";
import { ProcessGuest } from "./process/guest.ts";

/** Factory of each kind; a kind without one cannot be used yet. */
export const GUEST_KINDS: Partial<Record<GuestKind, GuestFactory>> = {
  process: (context) => new ProcessGuest(context),
  emulated: (context) => new EmulatedGuest(context),
};
