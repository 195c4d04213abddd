/** csi-sanity in a guest, against the programs that serve CSI there, and what it found, spec by spec. */
import type { Guest } from "../guest/guest.ts";

/** One of csi-sanity's specs and how it ended. */
export interface SanitySpec {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped" | "pending";
  /** Why it failed or was skipped; empty otherwise. */
  readonly why: string;
  readonly ms: number;
}

/** What {@link runSanity} needs. */
export interface SanityOptions {
  /** csi-sanity's path in the guest. */
  readonly program: string;
  readonly nodeSocket: string;
  readonly controllerSocket: string;
  /** Folder for mount points and the report; made when missing. */
  readonly dir: string;
  /** Bytes of the volumes that are made, and after they were expanded. */
  readonly size: number;
  readonly expandedSize: number;
  /** StorageClass parameters, and those that ControllerModifyVolume is called with. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly mutableParameters: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** A regular expression: only specs whose name fits are run. */
  readonly focus?: string;
}

/** Ginkgo's JSON report, as far as it is read. */
interface Report {
  readonly SpecReports: readonly {
    readonly LeafNodeType: string;
    readonly ContainerHierarchyTexts: readonly string[] | null;
    readonly LeafNodeText: string;
    readonly State: string;
    readonly RunTime: number;
    readonly Failure?: { readonly Message?: string };
  }[];
}

/**
 * Runs all specs, in csi-sanity's own order.
 * @throws Error when csi-sanity leaves no report.
 */
export async function runSanity(guest: Guest, options: SanityOptions): Promise<{ readonly specs: SanitySpec[]; readonly output: string }> {
  const { dir } = options;
  const file = (name: string) => `${dir}/${name}`;
  await guest.sh(`mkdir -p ${dir}`);
  await guest.writeFile(file("parameters.yaml"), JSON.stringify(options.parameters));
  await guest.writeFile(file("mutable.yaml"), JSON.stringify(options.mutableParameters));
  const flags = {
    "csi.endpoint": `unix://${options.nodeSocket}`,
    "csi.controllerendpoint": `unix://${options.controllerSocket}`,
    "csi.mountdir": file("mount"),
    "csi.stagingdir": file("staging"),
    "csi.testvolumesize": String(options.size),
    "csi.testvolumeexpandsize": String(options.expandedSize),
    "csi.testvolumeparameters": file("parameters.yaml"),
    "csi.testvolumemutableparameters": file("mutable.yaml"),
    "csi.testnodevolumeattachlimit": "true",
    "ginkgo.json-report": file("report.json"),
    "ginkgo.no-color": "true",
    "ginkgo.timeout": `${Math.round(options.timeoutMs / 1000)}s`,
    "ginkgo.seed": "1",
    ...(options.focus === undefined ? {} : { "ginkgo.focus": options.focus }),
  };
  await guest.sh(`rm -f ${file("report.json")}`);
  const argv = [options.program, ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
  const { stdout, stderr } = await guest.exec(argv, { timeoutMs: options.timeoutMs + 30_000, okCodes: "any" });
  const output = `${stdout}${stderr}`;
  const text = await guest.readFile(file("report.json")).catch(() => undefined);
  if (text === undefined) throw new Error(`csi-sanity left no report: ${output.slice(-2000)}`);
  return { specs: readReport(text.toString()), output };
}

/** The specs of a report of Ginkgo's. */
export function readReport(text: string): SanitySpec[] {
  const reports = JSON.parse(text) as Report[];
  const specs = reports.flatMap((report) => report.SpecReports).filter((spec) => spec.LeafNodeType === "It");
  return specs.map((spec) => ({
    name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" "),
    outcome: outcomeOf(spec.State),
    why: spec.State === "passed" ? "" : (spec.Failure?.Message ?? spec.State),
    ms: Math.round(spec.RunTime / 1e6),
  }));
}

function outcomeOf(state: string): SanitySpec["outcome"] {
  if (state === "passed" || state === "skipped" || state === "pending") return state;
  return "failed";
}

/** "85 passed, 0 failed, 10 skipped, 1 pending of 96". */
export function summaryOf(specs: readonly SanitySpec[]): string {
  const count = (outcome: SanitySpec["outcome"]) => specs.filter((spec) => spec.outcome === outcome).length;
  const pending = count("pending") > 0 ? `, ${count("pending")} pending` : "";
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped${pending} of ${specs.length}`;
}
