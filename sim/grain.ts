/**
 * How far an agent goes in one event. `step`: to its next stop, so that everything comes between everything. `batch`:
 * through all that it has decided, so that a search reaches further; it can still die at every point in between.
 */
export type Grain = "step" | "batch";
