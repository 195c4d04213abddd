/** The program's version: package.json is its only source; the bundle carries it along. */
import manifest from "../../package.json" with { type: "json" };

/** For GetPluginInfo and `--version`. */
export const VERSION: string = manifest.version;
