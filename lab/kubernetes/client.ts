/** A cluster as its users see it: objects made, watched until they are as wanted, and gone. */
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { applyYaml, type Manifest } from "../control-plane/objects.ts";
import { eventually } from "../world/wait.ts";

/** See the module's comment. */
export class ClusterClient {
  readonly plane: ControlPlane;

  constructor(plane: ControlPlane) {
    this.plane = plane;
  }

  /** kubectl's standard output. @throws Error with what it said when it fails. */
  async kubectl(...args: string[]): Promise<string> {
    return (await this.plane.kubectl(args)).stdout;
  }

  /** Creates or updates objects. */
  apply(...manifests: readonly Manifest[]): Promise<void> {
    return applyYaml(this.plane, manifests);
  }

  /** Waits until a field of an object (a jsonpath) has a value. */
  async until(what: string, object: string, path: string, wanted: string, seconds = 90): Promise<void> {
    await eventually(what, seconds, async () => {
      const { stdout, stderr } = await this.plane.kubectl(["get", object, `--output=jsonpath=${path}`], { mayFail: true });
      return stdout === wanted || `${object} ${path} is "${stdout || stderr.trim()}"; ${await this.#story(object)}`;
    });
  }

  /** Waits until an object is gone. */
  async gone(object: string, seconds = 90): Promise<void> {
    await eventually(`${object} is gone`, seconds, async () => {
      const found = await this.kubectl("get", object, "--output=name", "--ignore-not-found");
      return found.trim() === "" || `it is there; ${await this.#story(object)}`;
    });
  }

  /** The last events of an object, for a sentence about what it waits for. */
  async #story(object: string): Promise<string> {
    const [, name = object] = object.split("/");
    const selector = `--field-selector=involvedObject.name=${name}`;
    const { stdout } = await this.plane.kubectl(["get", "events", selector, "--output=jsonpath={range .items[-3:]}{.reason}: {.message}; {end}"], { mayFail: true });
    return `events: ${stdout.trim() || "none"}`;
  }
}
