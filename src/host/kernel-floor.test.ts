import assert from "node:assert/strict";
import { test } from "node:test";
import { kernelRefusal, parseRelease } from "./kernel-floor.ts";
import { compareVersions, TOOLS, toolRefusal } from "./tools.ts";

test("kernels that are safe and kernels that are not", () => {
  const releases = [
    "5.15.0-100-generic",
    "6.1.0-28-amd64",
    "6.8.0-60-generic",
    "6.11.10",
    "6.11.11",
    "6.11",
    "6.12.1",
    "6.12.2",
    "6.12.95+deb13-amd64",
    "6.12.0-55.9.1.el10_0.x86_64",
    "6.13.0-rc1",
    "7.2.12",
    "custom",
  ];
  assert.deepEqual(
    releases.map((r) => kernelRefusal(r, false) === null),
    [false, false, false, false, true, false, false, true, true, true, true, true, false],
  );
  assert.equal(kernelRefusal("5.15.0", true), null);
  assert.deepEqual(
    [parseRelease("6.12.95+deb13-amd64"), parseRelease("6.13-rc1"), parseRelease("x")],
    [{ major: 6, minor: 12, patch: 95 }, { major: 6, minor: 13, patch: 0 }, null],
  );
});

test("versions of the tools, as Debian 13 prints them", () => {
  const said: Record<string, string> = {
    sfdisk: "sfdisk from util-linux 2.41.5",
    partx: "partx from util-linux 2.41.5",
    blkid: "blkid from util-linux 2.41.5  (libblkid 2.41.5, 12-Feb-2026)",
    blkdiscard: "blkdiscard from util-linux 2.41.5",
    mount: "mount from util-linux 2.41.5 (libmount 2.41.5: selinux, smack, btrfs, verity, namespaces, idmapping, fd-based-mount, assert, debug)",
    umount: "umount from util-linux 2.41.5 (libmount 2.41.5)",
    mdadm: "mdadm - v4.4 - 2024-11-07 - Debian 4.4-11",
    nvme: "nvme version 2.13 (git 2.13)\nlibnvme version 1.13 (git 1.13)",
    dmsetup: "Library version:   1.02.205 (2025-01-14)\nDriver version:    4.48.0",
    "mkfs.xfs": "mkfs.xfs version 6.13.0",
    "mkfs.ext4": "mke2fs 1.47.2 (1-Jan-2025)\n\tUsing EXT2FS Library version 1.47.2",
    perl: "perl 5.40.1",
    losetup: "losetup from util-linux 2.41.5",
    dd: "dd (coreutils) 9.7",
    stat: "stat (GNU coreutils) 9.7",
  };
  assert.deepEqual(
    TOOLS.map((tool) => toolRefusal(tool, said[tool.name] ?? null)),
    TOOLS.map(() => null),
  );
  const mdadm = TOOLS.find((tool) => tool.name === "mdadm")!;
  assert.deepEqual(
    [toolRefusal(mdadm, null), toolRefusal(mdadm, "mdadm - v4.1"), toolRefusal(mdadm, "?")],
    ["mdadm is missing (package mdadm)", "mdadm is 4.1, at least 4.2 is needed (package mdadm)", "mdadm does not say its version"],
  );
  assert.deepEqual(
    [compareVersions("2.9", "2.36") < 0, compareVersions("2.36.1", "2.36") > 0, compareVersions("1.02.205", "1.2.175") > 0, compareVersions("4.2", "4.2")],
    [true, true, true, 0],
  );
});
