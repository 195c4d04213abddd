import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as parse from "./parse.ts";

const MOUNTINFO = [
  "21 1 254:0 / / rw,relatime - ext4 /dev/root rw",
  "40 21 253:7 / /var/lib/kubelet/stage rw,noatime shared:9 - xfs /dev/mapper/meshstor-v rw,attr2",
  "41 21 253:7 / /data rw,noatime - xfs /dev/mapper/meshstor-v rw,attr2",
  "42 21 0:55 / /home rw - nfs4 server:/home rw",
  "short line",
].join("\n");

test("device numbers, of stat and in text", () => {
  assert.deepEqual([0xfd07, 0x0fd00, 0x10fd07, 0x0815].map(parse.numberText), ["253:7", "253:0", "253:263", "8:21"]);
});

test("a mapped file is found by its device, in hex", () => {
  const maps = [
    "5593374e4000-5593374e7000 r--p 00000000 fe:00 247741                     /usr/bin/sed",
    "7f5c10000000-7f5c10001000 rw-s 00000000 fd:07 131                        /data/db.shm (deleted)",
    "7ffd3a5fe000-7ffd3a61f000 rw-p 00000000 00:00 0                          [stack]",
  ].join("\n");
  assert.deepEqual(
    ["254:0", "253:7", "253:0", "0:0"].map((n) => parse.mapsNumber(maps, n)),
    [true, true, false, true],
  );
});

test("the mount of an open file", () => {
  assert.equal(parse.mountIDOf("pos:\t0\nflags:\t0100000\nmnt_id:\t24\nino:\t3\n"), "24");
  assert.equal(parse.mountIDOf(""), null);
});

test("mounts, and which one a path lies on", () => {
  const places = parse.parsePlaces(MOUNTINFO);
  assert.deepEqual(places[1], { id: "40", number: "253:7", target: "/var/lib/kubelet/stage", fsType: "xfs" });
  assert.deepEqual(
    ["/data/x", "/database", "/home/me", "/"].map((path) => parse.placeOf(path, places)?.id),
    ["41", "21", "42", "21"],
  );
  assert.deepEqual(
    places.map((p) => parse.isRemote(p.fsType)),
    [false, false, false, true],
  );
});

test("a container has the volume at a place of its own; a copy of the host's mounts only shows it", () => {
  const places = parse.parsePlaces(MOUNTINFO);
  const host = ["/var/lib/kubelet/stage", "/var/lib/kubelet/pods/p/mount"];
  assert.equal(parse.isContainerOf(places, "253:7", host), true);
  assert.equal(
    parse.isContainerOf(
      places.filter((p) => p.id !== "41"),
      "253:7",
      host,
    ),
    false,
  );
  const exporter = [{ id: "9", number: "253:7", target: "/rootfs/var/lib/kubelet/pods/p/mount", fsType: "xfs" }];
  assert.equal(parse.isContainerOf(exporter, "253:7", host), false);
  assert.equal(parse.isContainerOf(places, "253:8", host), false);
});

test("what is no file of a disk is not asked", () => {
  const links = ["pipe:[7]", "socket:[8]", "anon_inode:[eventpoll]", "/memfd:x (deleted)", "/dev/null", "/dev/pts/0", "/dev/nullx", "/data/f (deleted)"];
  assert.deepEqual(links.map(parse.isNoFile), [true, true, true, true, true, true, false, false]);
});

test("a thread on its way out, and a zombie, do not return; one that waits does", () => {
  const stat = (state: string, flags: number) => `20583 (a) b (c) ${state} 20571 20571 22103 0 -1 ${flags} 102 0 0 0 0 0`;
  assert.deepEqual([stat("D", 4194304), stat("D", 4194308), stat("Z", 4194304), stat("S", 0), ""].map(parse.isExiting), [false, true, true, false, false]);
});

test("swaps, NFS exports and loop devices by name", () => {
  assert.deepEqual(parse.parseSwaps("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/data/a\\040swap                         file\t\t1048572\t\t0\t\t-2\n"), ["/data/a swap"]);
  const exports = "# Version 1.1\n# Path Client(Flags) # IPs\n/data/share\t*(rw,root_squash,sync,wdelay,no_subtree_check)\n/b\\040c\t10.0.0.0/8(ro)\n";
  assert.deepEqual(parse.parseNfsExports(exports), ["/data/share", "/b c"]);
  assert.deepEqual(parse.parseLosetup("/dev/loop0 253:7\n/dev/loop1 \n"), [{ name: "/dev/loop0", number: "253:7" }]);
});

test("no text makes a parser throw", () => {
  const all = [parse.parsePlaces, parse.isExiting, parse.mountIDOf, parse.parseSwaps, parse.parseNfsExports, parse.parseLosetup, (t: string) => parse.mapsNumber(t, "1:2")];
  fc.assert(fc.property(fc.string(), (text) => all.forEach((one) => void one(text))));
});

test("what is mapped shared from a path is looked at, once for each path", () => {
  const maps = [
    "7f00-7f01 r--s 00000000 00:06 4 /dev/dm-7",
    "7f01-7f02 rw-s 00000000 00:06 4 /dev/dm-7",
    "7f02-7f03 rw-s 00000000 00:1c 9 /dev/xvda (deleted)",
    "7f03-7f04 rw-p 00000000 fe:07 9 /lib/libc.so",
    "7f04-7f05 rw-s 00000000 00:01 0 /dev/zero",
    "7f05-7f06 rw-p 00000000 00:00 0 [heap]",
  ].join("\n");
  assert.deepEqual(parse.mappedNodes(maps), ["7f00-7f01", "7f02-7f03"]);
});
