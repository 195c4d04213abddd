/** `npm run lab -- VERB`: a lab with MeshStor in it to play with, that stays until it is taken down. */
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { bytes, count, memory } from "./arguments.ts";
import { Lab } from "./cluster.ts";
import { driveFaults } from "./guest/drives.ts";
import type { LabHooks } from "./hooks.ts";
import { productHooks } from "./product.ts";
import { openShell } from "./shell.ts";
import { labIds } from "./state.ts";
import { formatStatus, statusOf } from "./status.ts";
import { sweepLabs } from "./sweep.ts";

interface UpOptions {
  readonly nodes: number;
  readonly drives: number;
  readonly driveSize: number;
  readonly sectorSize: string;
  readonly memory: number;
  readonly kernel: string;
  readonly cmdline: string;
  readonly kind: "process" | "emulated";
}

/** What runs in the lab. */
const hooks: LabHooks = productHooks;

const started = performance.now();

function progress(line: string): void {
  process.stderr.write(`lab: ${((performance.now() - started) / 1000).toFixed(1)} s: ${line}\n`);
}

function print(text: string | Buffer): void {
  process.stdout.write(text);
}

const program = new Command("lab").description("A virtual cluster with NVMe drives that runs MeshStor, on this machine.");
program.addOption(new Option("--lab <id>", "which lab").default("lab").env("MESHSTOR_LAB"));
program.enablePositionalOptions();
program.configureHelp({ showGlobalOptions: true });

const labId = (): string => program.opts<{ lab: string }>().lab;
const attach = (): Lab => Lab.attach(labId());

async function up(options: UpOptions): Promise<void> {
  const sizes: readonly (512 | 4096)[] = options.sectorSize === "mixed" ? [512, 4096] : [Number(options.sectorSize) as 512 | 4096];
  const drives = Array.from({ length: options.drives }, (_, at) => ({ size: options.driveSize, sectorSize: sizes[at % sizes.length] ?? 512 }));
  const nodes = Array.from({ length: options.nodes }, (_, at) => ({
    name: `n${at + 1}`,
    kind: options.kind,
    drives,
    memoryMiB: options.memory,
    cmdline: options.cmdline,
  }));
  progress(`booting ${nodes.map(({ name }) => name).join(", ")} with kernel ${options.kernel}`);
  const lab = await Lab.create({ id: labId(), detached: true, kernel: options.kernel, nodes });
  progress("all guests are up");
  await hooks.afterUp(lab, progress);
  await status({ output: "table" });
}

async function status(options: { readonly output: string }): Promise<void> {
  const lab = attach();
  const now = statusOf(lab, await hooks.status(lab));
  print(`${options.output === "json" ? JSON.stringify(now, null, 2) : formatStatus(now)}\n`);
}

program
  .command("up")
  .description("make a lab and boot its guests")
  .option("--nodes <n>", "guests", count, 3)
  .option("--drives <n>", "drives per guest", count, 2)
  .option("--drive-size <size>", "of every drive", bytes, 8 * 1024 ** 3)
  .addOption(new Option("--sector-size <bytes>", "of the drives").choices(["512", "4096", "mixed"]).default("mixed"))
  .option("--memory <MiB>", "per guest", memory, 768)
  .addOption(new Option("--kernel <series>", "kernel series").default("6.12").env("MESHSTOR_LAB_KERNEL"))
  .option("--cmdline <words>", "more kernel parameters", "")
  .addOption(new Option("--kind <kind>", "of guests").choices(["process", "emulated"]).default("process"))
  .action((options: UpOptions) => up(options));

program
  .command("status")
  .description("show guests, addresses, drives and cuts")
  .addOption(new Option("--output <format>", "for people or programs").choices(["table", "json"]).default("table"))
  .action(status);

program
  .command("list")
  .description("the ids of all labs")
  .action(() =>
    print(
      labIds()
        .map((id) => `${id}\n`)
        .join(""),
    ),
  );

program
  .command("shell <guest> [command...]")
  .description("a shell in a guest, or one command")
  .passThroughOptions()
  .action(async (guest: string, command: string[]) => {
    process.exitCode = await openShell(attach(), guest, command);
  });

program
  .command("console <guest>")
  .description("what the guest's kernel and init said")
  .action((guest: string) => print(readFileSync(attach().guest(guest).consolePath)));

program
  .command("power-off <guest>")
  .description("pull the plug")
  .action((guest: string) => attach().guest(guest).powerOff());

program
  .command("power-on <guest>")
  .description("boot a guest that is off")
  .action(async (guest: string) => {
    const lab = attach();
    await lab.guest(guest).powerOn();
    progress(`${guest} is up`);
    await hooks.afterPowerOn(lab, guest);
    progress("its node program answers");
  });

program
  .command("freeze <guest>")
  .description("stop a guest where it is")
  .action((guest: string) => attach().guest(guest).freeze());
program
  .command("thaw <guest>")
  .description("let a frozen guest go on")
  .action((guest: string) => attach().guest(guest).thaw());

program
  .command("cut <from> <to>")
  .description('drop packets between two guests, or a guest and "host" (the API server)')
  .option("--one-way", "only packets from the first to the second")
  .action((from: string, to: string, options: { oneWay?: boolean }) => attach().net.cut(from, to, options));

program
  .command("heal [a] [b]")
  .description("end all cuts, those of one end, or those between two")
  .action((a?: string, b?: string) => attach().net.heal(a, b));

program
  .command("drive <guest> <number> <fault>")
  .description("make drive 0, 1, ... of a guest hang, fail or failWrites; heal it; or pull it out")
  .action(async (guest: string, number: string, fault: string) => {
    const index = Number(number);
    if (fault !== "hang" && fault !== "fail" && fault !== "failWrites" && fault !== "heal" && fault !== "pull") {
      throw new Error(`"${fault}" is none of hang, fail, failWrites, heal, pull`);
    }
    await driveFaults[fault](attach().guest(guest), index);
  });

program
  .command("down")
  .description("take the lab down")
  .action(() => attach().destroy());

program
  .command("sweep")
  .description("take down labs whose process died")
  .action(async () => print((await sweepLabs()).map((id) => `${id}\n`).join("")));

hooks.addCommands(program, attach);

try {
  await program.parseAsync();
  // Detached guests are still this process's children; nothing of theirs is waited for.
  process.exit();
} catch (error) {
  process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
