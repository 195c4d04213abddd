/**
 * What the product adds to the lab: the lab itself knows nothing of MeshStor. The command (lab/main.ts)
 * calls these at the named moments and lets them add verbs of their own (kubectl, agent, ...).
 */
import type { Command } from "commander";
import type { Lab } from "./cluster.ts";

/** All are optional; add implementations to {@link hooks}. */
export interface LabHooks {
  /** Before the guests boot is over nothing of theirs runs; called once all are up. */
  afterUp?(lab: Lab, progress: (line: string) => void): Promise<void>;
  /** A guest was powered on again. */
  afterPowerOn?(lab: Lab, name: string): Promise<void>;
  /** Before everything is torn down. */
  beforeDown?(lab: Lab): Promise<void>;
  /** More columns for `status`, per guest. */
  status?(lab: Lab, name: string): Promise<Readonly<Record<string, string>>>;
  /** More verbs; `attach` gives the lab that the command line names. */
  addCommands?(program: Command, attach: () => Lab): void;
}

/** The hooks in force. */
export const hooks: LabHooks = {};
