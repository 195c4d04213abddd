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
    "broken line",
    "",
  ].join("\n");
  assert.deepEqual(parseMountinfo(text), [
    { target: "/mnt2", device: "98:0", fsType: "ext3", readOnly: false, root: "/mnt1" },
    { target: "/var/lib/kubelet/a b", device: "254:7", fsType: "xfs", readOnly: true, root: "/" },
    { target: "/proc", device: "0:5", fsType: "proc", readOnly: false, root: "/" },
    { target: "/t", device: "254:8", fsType: "xfs", readOnly: true, root: "/x\\y" },
  ]);
});

test("no text makes the parser throw", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseMountinfo(text)));
});
