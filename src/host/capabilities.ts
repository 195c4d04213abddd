/**
 * Is this host fit? Checked before anything is touched; each thing that is missing is one sentence
 * (HostUnsuitable). What can be put right from here (modules, configfs, debugfs, the udev rule) is.
 */
import { MeshStorError } from "../base/errors.ts";
import { run } from "./exec.ts";
import { exists, listDir, readAttribute, readText, ROOTS } from "./files.ts";
import { kernelRefusal } from "./kernel-floor.ts";
import { installUdevRule, proveUdevRule, udevRuns } from "./udev-rule.ts";
import { type Tool, TOOLS, toolRefusal } from "./tools.ts";

/** Modules; one that is built in and has no parameters is not named by sysfs, and shows elsewhere. */
const MODULES: readonly { name: string; isBuiltIn?: () => Promise<boolean> }[] = [
  { name: "nvme-core" },
  { name: "nvme-tcp" },
  { name: "nvmet", isBuiltIn: () => exists(`${ROOTS.configfs}/nvmet`) },
  { name: "nvmet-tcp" },
  { name: "md-mod" },
  { name: "raid1", isBuiltIn: () => hasRaid1() },
  { name: "dm-mod" },
  { name: "xfs", isBuiltIn: () => hasXfs() },
];

/** Loads what is a module and mounts what is not mounted; what cannot be done shows in {@link hostRefusals}. */
export async function prepareKernel(): Promise<void> {
  const absent = await absentModules();
  if (absent.length > 0) await run(["modprobe", "--quiet", "--all", ...absent], { deadlineMs: 60_000 }).catch(() => null);
  if (!(await exists(`${ROOTS.configfs}/nvmet`))) await run(["mount", "-t", "configfs", "none", ROOTS.configfs], { deadlineMs: 10_000 });
  // Shows the target's controllers (nvmet/cut.ts); where it cannot be had, cutting takes a moment longer.
  if (!(await exists(`${ROOTS.debugfs}/nvmet`))) await run(["mount", "-t", "debugfs", "none", ROOTS.debugfs], { deadlineMs: 10_000 });
}

/** Names of the modules that the kernel shows nowhere. */
export async function absentModules(): Promise<string[]> {
  const there = await Promise.all(
    MODULES.map(async ({ name, isBuiltIn }) => (await exists(`${ROOTS.sys}/module/${name.replaceAll("-", "_")}`)) || ((await isBuiltIn?.()) ?? false)),
  );
  return MODULES.filter((_, index) => !there[index]).map(({ name }) => name);
}

/** Everything that makes this host unfit, one sentence each; empty if it is fit. */
export async function hostRefusals(acceptKernel: boolean): Promise<string[]> {
  const kernel = kernelRefusal((await readText(`${ROOTS.proc}/sys/kernel/osrelease`)).trim(), acceptKernel);
  const parts = await Promise.all([kernelParts(), nvmeSettings(), toolRefusals()]);
  return [kernel, ...parts.flat()].filter((sentence) => sentence !== null);
}

/** Prepares the kernel, puts the udev rule in force, and throws HostUnsuitable with everything that is missing. */
export async function checkHost(acceptKernel = process.env["MESHSTOR_ACCEPT_KERNEL"] === "1"): Promise<void> {
  await prepareKernel();
  const refusals = await hostRefusals(acceptKernel);
  if (refusals.length > 0) throw new MeshStorError("HostUnsuitable", refusals.join("; "));
  if (!(await udevRuns())) return;
  await installUdevRule();
  await proveUdevRule();
}

/** Parts of the kernel, each by what it shows when it is there, built in or as a module. */
async function kernelParts(): Promise<string[]> {
  const parts: [string, string][] = [
    [`${ROOTS.configfs}/nvmet`, "the NVMe target (module nvmet, configfs mounted)"],
    [`${ROOTS.sys}/module/nvmet_tcp`, "the NVMe target over TCP (module nvmet-tcp)"],
    [`${ROOTS.sys}/module/nvme_tcp`, "the NVMe host over TCP (module nvme-tcp)"],
    [`${ROOTS.dev}/nvme-fabrics`, "NVMe over fabrics (/dev/nvme-fabrics)"],
    [`${ROOTS.dev}/mapper/control`, "device-mapper (module dm-mod)"],
    [`${ROOTS.sys}/module/md_mod`, "MD (module md-mod)"],
  ];
  const there = await Promise.all(parts.map(([path]) => exists(path)));
  const missing = parts.filter((_, index) => !there[index]).map(([, what]) => what);
  if (!(await hasRaid1())) missing.push("RAID1 (module raid1)");
  if (!(await hasXfs())) missing.push("XFS (module xfs)");
  return missing.map((what) => `the kernel lacks ${what}`);
}

/**
 * Where a RAID1 array runs, /proc/mdstat is not read: with a held write on any array that read hangs where not even
 * SIGKILL ends it (Z4), and a program whose thread hangs there cannot be ended and started again to release the write.
 */
async function hasRaid1(): Promise<boolean> {
  const arrays = (await listDir(`${ROOTS.sys}/block`)).filter((name) => name.startsWith("md"));
  const levels = await Promise.all(arrays.map((name) => readAttribute(`${ROOTS.sys}/block/${name}/md/level`)));
  if (levels.includes("raid1")) return true;
  // There is none before MD is loaded.
  const mdstat = await readAttribute(`${ROOTS.proc}/mdstat`);
  return mdstat !== null && mdstat.includes("[raid1]");
}

async function hasXfs(): Promise<boolean> {
  return /\txfs$/m.test(await readText(`${ROOTS.proc}/filesystems`));
}

/** Z10: cancelled requests must be retried by NVMe, not be handed to MD; a held write must not panic the machine. */
async function nvmeSettings(): Promise<string[]> {
  const refusals: string[] = [];
  const retries = await readAttribute(`${ROOTS.sys}/module/nvme_core/parameters/max_retries`);
  if (retries !== null && Number(retries) < 1) refusals.push("nvme_core.max_retries is 0: lost connections would reach MD as errors; set it to at least 1");
  const panic = await readAttribute(`${ROOTS.proc}/sys/kernel/hung_task_panic`);
  if (panic !== null && Number(panic) !== 0) refusals.push("kernel.hung_task_panic is on: a held write would panic this machine; set it to 0");
  return refusals;
}

/**
 * Runs every command in its arguments (their words are joined by a unit separator, 0x1F), one after the other, and ends what
 * each one said with a zero byte; before that a byte 1 says that it could be started. One small program starts them: each
 * start from this one copies its whole address space.
 */
const ASK = String.raw`
open(STDERR, ">&", \*STDOUT) or die;
$| = 1;
for (@ARGV) {
  if (open(my $tool, "-|", split(/\x1f/))) { local $/; my $said = <$tool>; print $said // "", "\x01"; close($tool) }
  print "\0";
}`;

/** Why each tool that is missing or too old is refused. */
export async function toolRefusals(tools: readonly Tool[] = TOOLS): Promise<string[]> {
  const argv = ["perl", "-e", ASK, ...tools.map((tool) => tool.argv.join("\x1f"))];
  const answer = await run(argv, { deadlineMs: 60_000 }).catch(() => null);
  if (answer === null) return TOOLS.filter((tool) => tool.name === "perl").map((tool) => toolRefusal(tool, null)!);
  const said = answer.stdout.toString().split("\0");
  return tools.map((tool, index) => toolRefusal(tool, said[index]?.endsWith("\x01") ? said[index] : null)).filter((sentence) => sentence !== null);
}
