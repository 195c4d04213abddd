/** Runs inside a guest: what a join does to the array named on the command line before it takes the member in. */
import { clearResyncStart } from "../../src/host/md/resync-start.ts";

await clearResyncStart(process.argv[2]!);
