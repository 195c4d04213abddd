/**
 * The seam between the lab and what runs in it. The lab knows nothing of MeshStor: its command calls these at the
 * named moments. lab/product.ts implements them, lab/main.ts joins the two.
 */
import type { Command } from "commander";
import type { Lab } from "./cluster.ts";
import type { GuestRow } from "./status.ts";

/** What a product adds to the lab's command. */
export interface LabHooks {
  /** All guests are up, and nothing but the lab's own runs in them. */
  afterUp(lab: Lab, progress: (line: string) => void): Promise<void>;
  /** A guest was powered on again. */
  afterPowerOn(lab: Lab, name: string): Promise<void>;
  /** More columns for `status`, by guest; never throws. */
  status(lab: Lab): Promise<ReadonlyMap<string, GuestRow>>;
  /** More verbs; `attach` gives the lab that the command line names. */
  addCommands(program: Command, attach: () => Lab): void;
}
