import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseMountinfo } from "./mountinfo.ts";

test("lines of mountinfo, with escapes, optional fields and read-only in either place", () => {
  const text = [
    "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
    "40 36 254:7 / /var/lib/kubelet/a\\040b ro,relatime shared:3 master:2 - xfs /dev/mapper/meshstor-vol rw,attr2",
    "41 36 0:5 / /proc rw - proc proc rw",
    "42 36 254:8 /x\\134y /t rw - xfs /dev/y ro",
    "43 36 254:9 / /e rw - ext4 /dev/z rw,errors=remount-ro,emergency_ro",
    "44 36 254:9 / /f ro - ext4 /dev/z ro",
    "broken line",
    "",
  ].join("\n");
  assert.deepEqual(parseMountinfo(text), [
    { target: "/mnt2", device: "98:0", fsType: "ext3", readOnly: false, root: "/mnt1", outOfUse: false },
    { target: "/var/lib/kubelet/a b", device: "254:7", fsType: "xfs", readOnly: true, root: "/", outOfUse: false },
    { target: "/proc", device: "0:5", fsType: "proc", readOnly: false, root: "/", outOfUse: false },
    { target: "/t", device: "254:8", fsType: "xfs", readOnly: true, root: "/x\\y", outOfUse: true },
    { target: "/e", device: "254:9", fsType: "ext4", readOnly: false, root: "/", outOfUse: true },
    { target: "/f", device: "254:9", fsType: "ext4", readOnly: true, root: "/", outOfUse: false },
  ]);
});

test("no text makes the parser throw", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseMountinfo(text)));
});
