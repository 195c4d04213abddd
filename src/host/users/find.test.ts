/** The search for users on a tree that looks like /proc: its links lead to real files, whose device is the one that is asked for. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOTS } from "../files.ts";
import { findUsers } from "./find.ts";
import { numberText } from "./parse.ts";

const root = mkdtempSync(join(tmpdir(), "users-"));
const proc = join(root, "proc");
const before = ROOTS.proc;
ROOTS.proc = proc;
after(() => {
  ROOTS.proc = before;
  rmSync(root, { recursive: true, force: true });
});

writeFileSync(join(root, "file"), "");
/** The device that the test's own files are on. */
const NUMBER = numberText(statSync(root).dev);
const [MAJOR, MINOR] = NUMBER.split(":").map((n) => Number(n).toString(16).padStart(2, "0"));
const HOST = `20 1 0:1 / / rw - rootfs rootfs rw\n30 20 ${NUMBER} / /stage rw - xfs /dev/x rw\n31 20 0:55 / /remote rw - nfs4 s:/x rw\n`;

interface Fake {
  ns?: string;
  mountinfo?: string;
  links?: Record<string, string>;
  files?: Record<string, string>;
}
function put(pid: number, { ns = "mnt:[1]", mountinfo = HOST, links = {}, files = {} }: Fake): void {
  const at = join(proc, String(pid));
  const all = { "ns/mnt": ns, exe: "/bin/x", cwd: "/proc", root: "/proc", "fd/0": "/dev/null", "fd/1": "pipe:[7]", ...links };
  for (const [path, text] of Object.entries({ comm: `p${pid}\n`, mountinfo, maps: "", "fdinfo/0": "mnt_id:\t20\n", ...files })) {
    mkdirSync(join(at, path, ".."), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  for (const [path, target] of Object.entries(all).filter(([, to]) => to !== "")) {
    mkdirSync(join(at, path, ".."), { recursive: true });
    symlinkSync(target, join(at, path));
  }
}

test("users by every way of using, and nobody else", async () => {
  const container = HOST.replace("/stage", "/data");
  put(1, {});
  put(process.pid, {});
  put(101, { links: { "fd/3": join(root, "file") }, files: { "fdinfo/3": "mnt_id:\t999\n" } });
  put(102, { links: { "fd/4": "/gone/by/now" }, files: { "fdinfo/4": "mnt_id:\t30\n" } });
  put(103, { links: { exe: join(root, "file") } });
  put(104, { files: { maps: `7f00-7f01 r--s 00000000 ${MAJOR}:${MINOR} 9  /data/x (deleted)\n` } });
  put(105, { ns: "mnt:[2]", mountinfo: container });
  put(106, { ns: "mnt:[3]", mountinfo: HOST.replace("/stage", "/rootfs/stage") });
  // 107: open on another machine's filesystem: not even looked at, or this stat would find the file.
  put(107, { links: { "fd/3": join(root, "file") }, files: { "fdinfo/3": "mnt_id:\t31\n" } });
  // 108: a kernel thread. 109: its first thread has ended.
  put(108, { links: { exe: "", cwd: join(root, "file") } });
  put(109, { links: { exe: "", "task/110/exe": "/bin/x", "task/110/fd/3": join(root, "file") } });
  const found = await findUsers(NUMBER, ["/stage"]);
  assert.deepEqual(
    found.map((u) => [u.pid, u.name, u.by]),
    [
      [101, "p101", "fd 3"],
      [102, "p102", "fd 4"],
      [103, "p103", "program"],
      [104, "p104", "mapped file"],
      [105, "p105", "its container has it mounted"],
      [109, "p109", "fd 3"],
    ],
  );
});
