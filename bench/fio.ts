/** fio in a guest: one short run on a file that is there, with O_DIRECT. */
import type { Guest } from "../lab/guest/guest.ts";

export type Access = "randread" | "randwrite";

export interface FioRun {
  readonly iops: number;
  readonly operations: number;
  /** Mean time of one request. */
  readonly meanMs: number;
}

export const QUEUE_DEPTH = 8;
export const BLOCK = 4096;

/** fio's own report, as far as it is read here. */
interface Report {
  readonly jobs: readonly { readonly error: number; readonly read: Side; readonly write: Side }[];
}
interface Side {
  readonly iops: number;
  readonly total_ios: number;
  readonly bw_bytes: number;
  readonly lat_ns: { readonly mean: number };
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

/** Fills a file so that no later write allocates or converts anything. */
export async function fill(guest: Guest, file: string, bytes: number): Promise<void> {
  await fio(guest, ["--name=fill", `--filename=${file}`, `--size=${bytes}`, "--rw=write", "--bs=1M", "--iodepth=2", "--end_fsync=1"]);
}

/** Random 4 KiB requests for some seconds. */
export async function randomAccess(guest: Guest, file: string, bytes: number, access: Access, seconds: number): Promise<FioRun> {
  const report = await fio(guest, [
    ...["--name=random", `--filename=${file}`, `--size=${bytes}`, `--rw=${access}`, `--bs=${BLOCK}`, `--iodepth=${QUEUE_DEPTH}`],
    ...["--time_based", `--runtime=${seconds}`, "--norandommap", "--randrepeat=0", "--allow_file_create=0"],
  ]);
  const side = access === "randread" ? report.jobs[0]!.read : report.jobs[0]!.write;
  return { iops: side.iops, operations: side.total_ios, meanMs: side.lat_ns.mean / 1e6 };
}

/** Bytes per second of sequential writes to a device, whose content is lost. */
export async function sequentialWrites(guest: Guest, device: string, seconds: number): Promise<number> {
  const report = await fio(guest, ["--name=sequential", `--filename=${device}`, "--rw=write", "--bs=1M", "--iodepth=4", "--time_based", `--runtime=${seconds}`]);
  return report.jobs[0]!.write.bw_bytes;
}

/** Requests in a second that an application makes that does not saturate anything. */
const PACE = 50;

/** Time in ms within which 99 % of paced random 4 KiB writes were done. */
export async function paced(guest: Guest, file: string, bytes: number, seconds: number): Promise<number> {
  const report = await fio(guest, [
    ...["--name=paced", `--filename=${file}`, `--size=${bytes}`, "--rw=randwrite", `--bs=${BLOCK}`, "--iodepth=1", `--rate_iops=${PACE}`],
    ...["--time_based", `--runtime=${seconds}`, "--norandommap", "--randrepeat=0", "--allow_file_create=0"],
  ]);
  return (report.jobs[0]!.write.clat_ns.percentile?.["99.000000"] ?? Number.NaN) / 1e6;
}

async function fio(guest: Guest, args: readonly string[]): Promise<Report> {
  const { stdout } = await guest.exec(["fio", ...args, "--ioengine=libaio", "--direct=1", "--output-format=json"], { timeoutMs: 180_000 });
  const report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as Report;
  if (report.jobs[0]?.error !== 0) throw new Error(`fio met error ${report.jobs[0]?.error}`);
  return report;
}
