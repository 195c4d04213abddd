/** What the lab tells a guest about itself, and the kinds of guest there are. */
import type { Drive } from "./drives.ts";
import type { Connect } from "./exec-client.ts";
import type { Guest } from "./guest.ts";
import type { RootKind } from "../../tools/setup/rootfs.ts";

/** The two kinds of guest (see guest.ts). */
export type GuestKind = Guest["kind"];

/**
 * Where a guest's system comes from: the lab's root, whose changes are lost with the power (for a Kubernetes node with
 * containerd and kubelet in it), or a stock Debian host of its own (its own initramfs, systemd) on a disk that outlives power cuts.
 */
export type GuestRoot = RootKind | "debian-host";

/** Everything a guest is made from; the same after a re-attach from another process. */
export interface GuestContext {
  readonly labId: string;
  readonly name: string;
  /** 1, 2, ...: decides taps and addresses (lab/net/addresses.ts). */
  readonly index: number;
  readonly names: readonly string[];
  readonly kernel: string;
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly root: GuestRoot;
  /** More kernel parameters. */
  readonly cmdline: string;
  readonly drives: readonly Drive[];
  /** Directories on the host. */
  readonly paths: {
    /** The guest's own: host directory, what the kernel keeps. */
    readonly own: string;
    /** What is remembered of it between processes (run-state.ts). */
    readonly runState: string;
    readonly share: string;
    /** Kept over power-off as /var/lib/lab, when the node wants it. */
    readonly persist: string | undefined;
    /** For sockets; short. */
    readonly sockets: string;
    readonly console: string;
    /** The exec daemon's bundle. */
    readonly execd: string;
  };
  /** Reaches the guest's exec daemon. */
  readonly connect: Connect;
  /** Ends all connections to the guest; for when its power is gone. */
  disconnect(): Promise<void>;
}

/** Makes the object for a guest; does not boot it. */
export type GuestFactory = (context: GuestContext) => Guest;
