/**
 * Picks what image/contents.txt names out of an unpacked Debian, with the libraries that it needs; adds Node.js and image/files:
 *
 *     node image/pick.ts DEBIAN NODE INTO
 *
 * The same in `npm run image` and in the Containerfile, so that both make the same image. It uses nothing of the project.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

export interface Content {
  package: string;
  /** Programs by name, other paths by a leading slash; `@` is the folder of this machine's libraries. */
  parts: string[];
}

/** Reads contents.txt. */
export function parseContents(text: string): Content[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [name = "", rest = ""] = line.split(":");
      return { package: name, parts: rest.split(" ").filter((part) => part !== "") };
    });
}

/** Debian's names of a machine, for Node's. */
const MACHINES: Readonly<Record<string, { libraries: string; loader: string }>> = {
  x64: { libraries: "x86_64-linux-gnu", loader: "usr/lib64/ld-linux-x86-64.so.2" },
  arm64: { libraries: "aarch64-linux-gnu", loader: "usr/lib/ld-linux-aarch64.so.1" },
};
const MERGED = { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" };
/** Places where something is mounted, or sockets are made. */
const MOUNT_POINTS = ["csi", "dev", "proc", "run/udev", "sys", "usr/lib/modules", "var/lib/kubelet", "var/run/secrets/kubernetes.io/serviceaccount"];

class Picker {
  readonly #from: string;
  readonly #into: string;
  readonly #machine = MACHINES[process.arch] ?? fail(`no image is made for ${process.arch}`);

  constructor(from: string, into: string) {
    this.#from = resolve(from);
    this.#into = resolve(into);
  }

  pick(contents: readonly Content[], node: string, files: string): void {
    for (const [link, target] of Object.entries(MERGED)) {
      mkdirSync(join(this.#into, target), { recursive: true });
      symlinkSync(target, join(this.#into, link));
    }
    for (const place of MOUNT_POINTS) mkdirSync(join(this.#into, place), { recursive: true });
    mkdirSync(join(this.#into, "tmp"));
    chmodSync(join(this.#into, "tmp"), 0o1777);
    mkdirSync(join(this.#into, "etc"));
    writeFileSync(join(this.#into, "etc/passwd"), "root:x:0:0:root:/:/usr/sbin/nologin\nmeshstor:x:65532:65532:meshstor:/:/usr/sbin/nologin\n");
    writeFileSync(join(this.#into, "etc/group"), "root:x:0:\nmeshstor:x:65532:\n");
    copyFileSync(node, join(this.#into, "usr/bin/node"));
    chmodSync(join(this.#into, "usr/bin/node"), 0o755);
    this.#copy(this.#machine.loader);
    this.#libraries(node);
    for (const { parts } of contents) for (const part of parts) this.#part(part);
    cpSync(files, this.#into, { recursive: true });
  }

  #part(part: string): void {
    if (part.startsWith("/")) return this.#copy(part.slice(1).replace("@", this.#machine.libraries));
    const path = ["usr/bin", "usr/sbin"].map((dir) => `${dir}/${part}`).find((each) => existsSync(join(this.#from, each)));
    if (path === undefined) fail(`there is no program ${part} in ${this.#from}`);
    this.#copy(path);
    this.#libraries(join(this.#from, path));
  }

  /** A file, a folder with all that is in it, or a link with what it leads to. */
  #copy(path: string): void {
    const [from, into] = [join(this.#from, path), join(this.#into, path)];
    if (lstatSync(into, { throwIfNoEntry: false })) return;
    mkdirSync(dirname(into), { recursive: true });
    const stat = lstatSync(from);
    if (stat.isSymbolicLink()) {
      const target = readlinkSync(from);
      symlinkSync(target, into);
      return this.#copy(target.startsWith("/") ? this.#real(target.slice(1)) : relative(this.#from, resolve(dirname(from), target)));
    }
    if (stat.isDirectory()) {
      for (const name of readdirSync(from).toSorted()) this.#copy(join(path, name));
      return;
    }
    copyFileSync(from, into);
    chmodSync(into, statSync(from).mode & 0o755);
  }

  /** /lib/x is usr/lib/x. */
  #real(path: string): string {
    const [first = "", ...rest] = path.split("/");
    return join((MERGED as Record<string, string>)[first] ?? first, ...rest);
  }

  /** Asks the loader of that Debian, which looks only there. */
  #libraries(program: string): void {
    const dir = join(this.#from, "usr/lib", this.#machine.libraries);
    const said = execFileSync(join(this.#from, this.#machine.loader), ["--library-path", `${dir}:${dir}/systemd`, "--list", program], { encoding: "utf8" });
    for (const line of said.split("\n")) {
      if (line.includes("not found")) fail(`${program}: ${line.trim()}`);
      const path = /=> (\/\S+)/.exec(line)?.[1];
      if (path !== undefined && !path.includes("ld-linux")) this.#copy(this.#real(relative(this.#from, path)));
    }
  }
}

function fail(sentence: string): never {
  throw new Error(sentence);
}

/** Fills the empty folder `into`. */
export function pickImage(debian: string, node: string, into: string, contents: readonly Content[]): void {
  new Picker(debian, into).pick(contents, node, join(import.meta.dirname, "files"));
}

if (import.meta.main) {
  const [debian = "", node = "", into = ""] = process.argv.slice(2);
  pickImage(debian, node, into, parseContents(readFileSync(join(import.meta.dirname, "contents.txt"), "utf8")));
}
