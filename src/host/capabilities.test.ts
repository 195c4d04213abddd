import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { absentModules, toolRefusals } from "./capabilities.ts";
import { ROOTS } from "./files.ts";
import type { Tool } from "./tools.ts";

const tool = (name: string, ...argv: string[]): Tool => ({ name, package: `${name}-pack`, argv, pattern: /version (\d+\.\d+)/, least: "2.5" });

test("tools are asked for their versions by one program, wherever they say them", async () => {
  const asked = [
    tool("out", "printf", "version 2.10\\n"),
    tool("err", "perl", "-e", "print STDERR 'version 2.5'"),
    tool("old", "printf", "version 2.4"),
    tool("silent", "true"),
    tool("failing", "perl", "-e", "print 'version 3.0'; exit 1"),
    tool("absent", "meshstor-no-such-tool", "--version"),
    tool("last", "printf", "version 2.5"),
  ];
  assert.deepEqual(await toolRefusals(asked), [
    "old is 2.4, at least 2.5 is needed (package old-pack)",
    "silent does not say its version",
    "absent is missing (package absent-pack)",
  ]);
});

test("modules are looked for where the kernel shows them, also before any is loaded, when there is no /proc/mdstat", async () => {
  const root = mkdtempSync(join(tmpdir(), "capabilities-"));
  const were = { ...ROOTS };
  Object.assign(ROOTS, { sys: join(root, "sys"), proc: join(root, "proc"), configfs: join(root, "configfs") });
  try {
    mkdirSync(ROOTS.proc);
    writeFileSync(join(ROOTS.proc, "filesystems"), "nodev\tproc\n\text4\n");
    assert.deepEqual(await absentModules(), ["nvme-core", "nvme-tcp", "nvmet", "nvmet-tcp", "md-mod", "raid1", "dm-mod", "xfs"]);
    for (const folder of ["sys/module/nvme_core", "sys/module/nvme_tcp", "sys/module/nvmet_tcp", "sys/module/md_mod", "sys/module/dm_mod", "configfs/nvmet"])
      mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(ROOTS.proc, "filesystems"), "nodev\tproc\n\txfs\n");
    writeFileSync(join(ROOTS.proc, "mdstat"), "Personalities : \n");
    assert.deepEqual(await absentModules(), ["raid1"]);
    writeFileSync(join(ROOTS.proc, "mdstat"), "Personalities : [raid1] \n");
    assert.deepEqual(await absentModules(), []);
  } finally {
    Object.assign(ROOTS, were);
    rmSync(root, { recursive: true });
  }
});
