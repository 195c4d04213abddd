/**
 * What the workload's reports prove or break, once the volume was read back. Pure.
 *
 * Every acknowledgement counts, whenever it was reported: a machine that was frozen reports late. A value that was read binds those that read
 * after it: no read goes back in time. A register is never read while it is written, so before the first read of a new owner
 * both values of a write that never ended are possible.
 */
import type { RecordsFound } from "../../lab/world/writer.ts";

/** One writer of records: its run, and the newest record that was acknowledged to it. */
export interface WriterClaim {
  readonly run: number;
  readonly acknowledged: number;
}

/** Sentences, one for each thing that is wrong with the records; none if all is well. */
export function judgeRecords(claims: readonly WriterClaim[], found: RecordsFound): string[] {
  const wrong: string[] = [];
  if (found.bad > 0) wrong.push(`${found.bad} blocks of the file are no whole record in its place`);
  const runs = found.runs.map(({ run }) => run);
  if (runs.some((run, at) => at > 0 && run <= runs[at - 1]!)) wrong.push(`the runs are out of order: ${runs.join(", ")}`);
  for (const { run, acknowledged } of claims) {
    const last = found.runs.find((each) => each.run === run)?.last ?? 0;
    if (last < acknowledged) wrong.push(`lost: run ${run} was acknowledged up to record ${acknowledged}, ${last} are there`);
  }
  return wrong;
}

/** What one program reported, and where its reads stop to count: a fenced owner's reads are bounded in time, not in value (I10). */
export interface RegisterReport {
  readonly text: string;
  /** Reads that begin later, in epoch ms, prove nothing about values. */
  readonly readsUntilMs?: number;
}

export interface RegisterVerdict {
  readonly acknowledged: number;
  readonly reads: number;
  readonly wrong: readonly string[];
}

const LINE = /^(?:([wW]) (\d+) (\d+) (\d+)|r (\d+) (\d+) (\d+)|R (\d+) (\d+) (-?\d+) (\d+))$/gm;

/** Reports of the owners, in the order in which they had the volume. Lines cut short by a power cut are passed over. */
export function judgeRegisters(reports: readonly RegisterReport[]): RegisterVerdict {
  const wrong: string[] = [];
  const acked = new Map<number, number>();
  const seen = new Map<number, number>();
  const raise = (map: Map<number, number>, register: number, value: number) => void map.set(register, Math.max(value, map.get(register) ?? 0));
  let [acknowledged, reads] = [0, 0];
  for (const { text, readsUntilMs = Number.POSITIVE_INFINITY } of reports) {
    const begun = new Map<number, { floor: number; at: number }>();
    for (const m of text.matchAll(LINE)) {
      if (m[1] === "W") {
        acknowledged += 1;
        raise(acked, Number(m[2]), Number(m[3]));
      } else if (m[5] !== undefined) {
        const register = Number(m[6]);
        begun.set(Number(m[5]), { floor: Math.max(acked.get(register) ?? 0, seen.get(register) ?? 0), at: Number(m[7]) });
      } else if (m[8] !== undefined) {
        const [register, value] = [Number(m[9]), Number(m[10])];
        const { floor, at } = begun.get(Number(m[8])) ?? { floor: 0, at: 0 };
        if (at > readsUntilMs) continue;
        reads += 1;
        if (value < 0) wrong.push(`register ${register} was read torn (read ${m[8]})`);
        else if (value < floor) wrong.push(`register ${register} went back in time: ${value} was read where ${floor} had been acknowledged or read (read ${m[8]})`);
        raise(seen, register, value);
      }
    }
  }
  return { acknowledged, reads, wrong };
}
