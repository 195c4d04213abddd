/**
 * Addresses of a lab. Every lab has a network namespace of its own, so all labs use the same ones:
 * the storage network (which tests cut) and the management network (the exec channel; never cut).
 */

/** Addresses of one end in both networks; index 0 is the host's side, guests count from 1. */
export interface Addresses {
  readonly ipv4: string;
  readonly ipv6: string;
  readonly management: string;
}

/** Prefix lengths of the networks. */
export const PREFIX = { ipv4: 24, ipv6: 64, management: 24 } as const;

/** The addresses of guest `index` (1, 2, ...), or of the host's side (0). */
export function addressesOf(index: number): Addresses {
  const host = index === 0 ? 1 : index + 10;
  return { ipv4: `10.77.0.${host}`, ipv6: `fd77::${host.toString(16)}`, management: `10.78.0.${host}` };
}

/** Where the API server of a lab listens: the host's side of the storage network. */
export const HOST_ADDRESSES = addressesOf(0);

/** Names of a guest's two taps inside the lab's namespace. */
export function tapsOf(index: number): { readonly storage: string; readonly management: string } {
  return { storage: `st${index}`, management: `mg${index}` };
}

/** The MAC address of a guest's interface. */
export function macOf(index: number, network: "storage" | "management"): string {
  return `02:4d:53:${network === "storage" ? "01" : "02"}:00:${index.toString(16).padStart(2, "0")}`;
}
