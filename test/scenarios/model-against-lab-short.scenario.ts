/**
 * Two short generated histories in the model and in the lab: at every rest both show the same record, array, superblocks, bitmaps and blocks.
 * All twenty are told by model-against-lab, which is run by name.
 * @minutes 20
 */
import { compareHistories } from "../model/run.ts";

compareHistories("1..2");
