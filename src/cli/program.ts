/** The commands, their arguments and their help. */
import { Command, Option } from "commander";
import { VERSION } from "../base/version.ts";
import { duration, mirrors, replicas } from "./arguments.ts";
import type { Context, Output } from "./context.ts";
import { moveCommand } from "./move.ts";
import { emptyCommand, maintenanceCommand } from "./node-wishes.ts";
import { nodesCommand } from "./nodes.ts";
import { overrideCommand } from "./override.ts";
import { scaleCommand } from "./scale.ts";
import { explainCommand, listCommand } from "./show.ts";

/** How the API server is reached. */
export interface Connection {
  kubeconfig?: string;
  context?: string;
}

const OUTPUT = () => new Option("-o, --output <format>", "text or json").choices(["text", "json"]).default("text");
const WAIT = () => new Option("--wait", "until it is so, saying what is waited for");
const TIMEOUT = () => new Option("--timeout <time>", "how long to wait: 90s, 30m, 2h").argParser(duration).default(30 * 60_000, "30m");

/** The program; `connect` is called when a command runs, not before. */
export function buildProgram(connect: (connection: Connection) => Context): Command {
  const program = new Command("kubectl-meshstor")
    .description("MeshStor's volumes: why they wait, and what is wanted of them")
    .version(VERSION)
    .option("--kubeconfig <file>", "how to reach the API server; without it $KUBECONFIG, then ~/.kube/config")
    .option("--context <name>", "which context of the kubeconfig")
    .configureHelp({ showGlobalOptions: true });
  const context = () => connect(program.opts<Connection>());
  addShow(program, context);
  addWishes(program, context);
  addNodeWishes(program, context);
  addOverride(program, context);
  return program;
}

function addShow(program: Command, context: () => Context): void {
  program
    .command("explain")
    .description("one sentence: why a volume waits or is degraded, what happens next and who does it; then its copies")
    .argument("<volume>")
    .addOption(OUTPUT())
    .action((name: string, { output }: { output: Output }) => explainCommand(context(), name, output));
  program
    .command("list")
    .description("all volumes, each with its sentence")
    .addOption(OUTPUT())
    .action(({ output }: { output: Output }) => listCommand(context(), output));
  program
    .command("nodes")
    .description("all nodes that run our program: drives, copies, volumes in use there, and whether each can be rebooted now, or why not")
    .addOption(OUTPUT())
    .action(({ output }: { output: Output }) => nodesCommand(context(), output));
}

function addWishes(program: Command, context: () => Context): void {
  program
    .command("scale")
    .description("how many copies a volume shall have")
    .argument("<volume>")
    .addOption(new Option("--replicas <n>", "copies that are wanted").argParser(replicas).makeOptionMandatory())
    .addOption(WAIT())
    .addOption(TIMEOUT())
    .action((name: string, options: Parameters<typeof scaleCommand>[2]) => scaleCommand(context(), name, options));
  program
    .command("move")
    .description("moves a volume's copy off a node; the copy stays in use until another one is in sync")
    .argument("<volume>")
    .requiredOption("--from <node>", "node that shall not hold a copy")
    .option("--undo", "the node may hold a copy again")
    .addOption(WAIT())
    .addOption(TIMEOUT())
    .action((name: string, options: Parameters<typeof moveCommand>[2]) => moveCommand(context(), name, options));
}

function addNodeWishes(program: Command, context: () => Context): void {
  program
    .command("empty")
    .description("every copy leaves the node, each when another one is in sync")
    .argument("<node>")
    .option("--undo", "the node may hold copies again")
    .addOption(WAIT())
    .addOption(TIMEOUT())
    .action((name: string, options: Parameters<typeof emptyCommand>[2]) => emptyCommand(context(), name, options));
  program
    .command("maintenance")
    .description("the node goes away for a while: its copies are not replaced meanwhile")
    .argument("<node>")
    .addOption(new Option("--for <time>", "how long: 90s, 30m, 2h").argParser(duration))
    .option("--end", "it is over")
    .action((name: string, options: Parameters<typeof maintenanceCommand>[2]) => maintenanceCommand(context(), name, options));
}

function addOverride(program: Command, context: () => Context): void {
  program
    .command("override")
    .description("the last good copy is lost for good: the volume goes on from a stale one, and loses what only the good one had")
    .argument("<volume>")
    .requiredOption("--copy <node|partition-uuid>", "the copy that is believed from now on")
    .addOption(new Option("--mirror <index>", "decides about this mirror only (repeatable); without it about every mirror that needs it").argParser(mirrors))
    .option("--even-half-synced", "also if a rebuild into the copy had begun: its content is neither old nor new")
    .option("--owner-is-off", "you vouch that the machine of the node that owns the volume is off")
    .option("--by <who>", "who decides, where the API server's name for you does not say it")
    .option("--yes-i-mean <volume>", "the volume's name, instead of being asked for it")
    .action((name: string, options: Parameters<typeof overrideCommand>[2]) => overrideCommand(context(), name, options));
}
