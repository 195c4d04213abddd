/**
 * Generated histories on both sides, the model and the lab: at every rest the record, the array, superblocks, bitmaps and blocks are the same.
 * MESHSTOR_HISTORIES names other seeds (as 1..3,7).
 * @byname
 * @minutes 120
 */
import { compareHistories } from "../model/run.ts";

compareHistories(process.env["MESHSTOR_HISTORIES"] ?? "1..20");
