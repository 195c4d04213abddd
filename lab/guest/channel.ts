/** The part of a guest that needs nothing but a way to its exec daemon; every kind of guest has one. */
import { appendFileSync, existsSync } from "node:fs";
import type { Server } from "node:net";
import { dirname, join } from "node:path";
import { execInGuest, readGuestFile, spawnInGuest, writeGuestFile, type Connect } from "./exec-client.ts";
import { listenForward } from "./forward.ts";
import type { ExecOptions, ExecResult, GuestProcess, SpawnOptions } from "./guest.ts";

/** Runs programs, moves files and forwards sockets; errors begin with the guest's name. */
export class ExecChannel {
  readonly #name: string;
  readonly #connect: Connect;
  readonly #socketDir: string;
  readonly #forwards = new Map<string, Promise<{ readonly path: string; readonly server: Server }>>();

  /** `socketDir` is a host directory with a short path, for {@link forwardUnix}. */
  constructor(name: string, connect: Connect, socketDir: string) {
    this.#name = name;
    this.#connect = connect;
    this.#socketDir = socketDir;
  }

  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return this.#named(execInGuest(this.#connect, argv, options));
  }

  async sh(script: string, options?: ExecOptions): Promise<string> {
    return (await this.exec(["sh", "-euc", script], options)).stdout.trim();
  }

  async spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<GuestProcess> {
    const { logPath } = options;
    const onOutput = (chunk: Buffer): void => {
      // The last words of a program whose machine is gone may come when its log has been taken away.
      if (logPath !== undefined && existsSync(dirname(logPath))) appendFileSync(logPath, chunk);
    };
    const started = await this.#named(spawnInGuest(this.#connect, argv, options.env ?? {}, onOutput));
    return { pid: started.pid, exited: started.exited, kill: (signal = "SIGTERM") => started.kill(signal) };
  }

  readFile(path: string): Promise<Buffer> {
    return this.#named(readGuestFile(this.#connect, path));
  }

  writeFile(path: string, data: string | Buffer, mode = 0o644): Promise<void> {
    return this.#named(writeGuestFile(this.#connect, path, data, mode));
  }

  async forwardUnix(guestPath: string): Promise<string> {
    let forward = this.#forwards.get(guestPath);
    if (forward === undefined) {
      forward = this.#listen(guestPath);
      this.#forwards.set(guestPath, forward);
    }
    return (await forward).path;
  }

  /** Ends all forwards of this process. */
  async close(): Promise<void> {
    for (const forward of this.#forwards.values()) (await forward).server.close();
    this.#forwards.clear();
  }

  async #listen(guestPath: string): Promise<{ readonly path: string; readonly server: Server }> {
    const path = join(this.#socketDir, `${this.#name}-${process.pid}-${this.#forwards.size}`);
    return { path, server: await listenForward(this.#connect, guestPath, path) };
  }

  async #named<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (error instanceof Error && !error.message.startsWith(`${this.#name}: `)) error.message = `${this.#name}: ${error.message}`;
      throw error;
    }
  }
}
