/** What happened between two moments of a scenario: every state of an object, and samples of a kernel. */
import { spawn, type ChildProcess } from "node:child_process";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import type { Guest } from "../guest/guest.ts";
import { arrays, type ArrayFacts } from "./inspect.ts";
import { eventually, sleep } from "./wait.ts";
import type { World } from "./world.ts";

/** A `kubectl get ... -w` that runs. */
export class KubectlWatch {
  readonly #child: ChildProcess;
  #text = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (this.#text += chunk));
    child.on("error", () => {});
  }

  /** Starts it; resolves once it has said something. */
  static async start(world: World, args: readonly string[]): Promise<KubectlWatch> {
    const [command, ...rest] = world.plane.kubectlCommand([...args, "-w"]);
    const watch = new KubectlWatch(spawn(command!, rest, { stdio: ["ignore", "pipe", "inherit"] }));
    await eventually("kubectl -w says something", 30, async () => watch.#text !== "" || "nothing yet");
    return watch;
  }

  /** Everything it has said so far. */
  get text(): string {
    return this.#text;
  }

  stop(): void {
    this.#child.kill("SIGTERM");
  }
}

/** Every state that a volume's object goes through, and the arrays of the node that runs it a few times a second. */
export class VolumeWatch {
  readonly #watch: KubectlWatch;
  readonly #guest: Guest;
  readonly #samples: ArrayFacts[][] = [];
  #stopped = false;
  readonly #sampling: Promise<void>;

  private constructor(watch: KubectlWatch, guest: Guest) {
    this.#watch = watch;
    this.#guest = guest;
    this.#sampling = this.#sample();
  }

  static async start(world: World, volume: string, guest: Guest): Promise<VolumeWatch> {
    return new VolumeWatch(await KubectlWatch.start(world, ["get", "msvol", volume, "-o", "json"]), guest);
  }

  async #sample(): Promise<void> {
    while (!this.#stopped) {
      const facts = await arrays(this.#guest).catch(() => null);
      if (facts) this.#samples.push(facts);
      await sleep(150);
    }
  }

  /** Ends; returns what was seen. */
  async stop(): Promise<{ states: MeshStorVolume[]; samples: ArrayFacts[][] }> {
    this.#stopped = true;
    await this.#sampling;
    await sleep(500);
    this.#watch.stop();
    // kubectl prints one indented object after the other.
    const objects = this.#watch.text.split(/(?<=^\}\n)/m).filter((text) => text.trim() !== "");
    return { states: objects.map((text) => JSON.parse(text) as MeshStorVolume), samples: this.#samples };
  }
}
