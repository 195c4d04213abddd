/** What a machine of the lab can do, whatever kind it is. */

/** How a program in a guest ended, and what it said. */
export interface ExecResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** Options of {@link Guest.exec}. */
export interface ExecOptions {
  readonly stdin?: string | Buffer;
  /** After this long the program's group is killed and the call fails; 60 s by default. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are no error; [0] by default. */
  readonly okCodes?: readonly number[] | "any";
}

/** Options of {@link Guest.spawn}. */
export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Host file to which the program's stdout and stderr are appended while this process lives. */
  readonly logPath?: string;
}

/** A long-running program in a guest. */
export interface GuestProcess {
  readonly pid: number;
  /** Sends a signal to the program and everything in its process group. */
  kill(signal?: NodeJS.Signals): void;
  /** Settles when it ended; a guest that loses power reports signal "POWER". */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** Whether a guest has power, and whether its clock runs. */
export type GuestState = "off" | "on" | "frozen";

/** Faults of drives that a kind of guest makes below the guest; see `driveFaults` in drives.ts, which is what tests call. */
export interface DriveFaults {
  hang(index: number): Promise<void>;
  fail(index: number): Promise<void>;
  failWrites(index: number): Promise<void>;
  failRange(index: number, start: number, sectors: number): Promise<void>;
  heal(index: number): Promise<void>;
  pull(index: number): Promise<void>;
}

/** A machine of the lab. */
export interface Guest {
  readonly name: string;
  readonly kind: "process" | "emulated";
  /** Host file with everything the kernel and init said since the first boot. */
  readonly consolePath: string;
  /** Number of times this guest was powered on. */
  readonly bootCount: number;
  readonly state: GuestState;
  /** Absent where the faults are made inside the guest. */
  readonly driveFaults?: DriveFaults;
  /** Boots; resolves once programs can be run and the drives are there. Throws with the console's tail otherwise. */
  powerOn(): Promise<void>;
  /** Pulls the plug: nothing in the guest gets to do anything. Does nothing to a guest that is off. */
  powerOff(): Promise<void>;
  /** Runs a program to its end; throws with its output for a code that is not among `okCodes`. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Runs a script with `sh -euc` and returns its trimmed stdout. */
  sh(script: string, options?: ExecOptions): Promise<string>;
  /** Starts a program that outlives the call, and outlives this process. */
  spawn(argv: readonly string[], options?: SpawnOptions): Promise<GuestProcess>;
  readFile(path: string): Promise<Buffer>;
  /** Replaces a file whole; files of the kernel's file systems are written in place. */
  writeFile(path: string, data: string | Buffer, mode?: number): Promise<void>;
  /** Returns a unix socket on the host that relays every connection to a unix socket in the guest. */
  forwardUnix(guestSocketPath: string): Promise<string>;
  /** Stops the whole machine where it is. */
  freeze(): Promise<void>;
  /** Lets a frozen machine go on. */
  thaw(): Promise<void>;
}
