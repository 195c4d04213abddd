/**
 * A member in the first slot comes back by the union of bitmaps: reads are fresh while it recovers, which the kernel alone does not see to (I5, I10).
 * @minutes 10
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { Lab } from "../../lab/cluster.ts";
import { labPaths } from "../../lab/state.ts";

let lab: Lab;
let program: string;

before(async () => {
  const logDir = process.env["MESHSTOR_ARTEFACTS"];
  lab = await Lab.create({ nodes: [{ name: "n1" }], ...(logDir === undefined ? {} : { logDir }) });
  const outfile = join(labPaths(lab.id).dir, "clear.mjs");
  await build({ entryPoints: [join(import.meta.dirname, "clear-resync-start.ts")], bundle: true, platform: "node", format: "esm", outfile, logLevel: "error" });
  program = lab.share("clear.mjs", outfile);
});
after(() => lab?.destroy());

/** The block holds A on both members, B on the second alone; the first comes back slowly. `$1`: what is done behind the union. */
const SCRIPT = `exec 2>/dev/null
md=/sys/block/md9/md
block() { head -c 4096 /dev/zero | tr '\\0' "$1" | dd of=/dev/md9 bs=4096 seek=20000 count=1 oflag=direct status=none; }
mdadm --stop /dev/md9 >&2 || :
for i in 0 1; do losetup --detach /dev/loop$i || :; rm -f /run/l$i; truncate -s 120M /run/l$i; losetup /dev/loop$i /run/l$i; done
mdadm --quiet --create /dev/md9 --run --metadata=1.2 --level=1 --raid-devices=2 --assume-clean --bitmap=internal --bitmap-chunk=4M /dev/loop0 /dev/loop1
block A
mdadm --quiet /dev/md9 --fail /dev/loop0
mdadm --quiet /dev/md9 --remove /dev/loop0
block B
echo 0-3 >$md/bitmap_set_bits
cat $md/resync_start
eval "$1"
cat $md/resync_start
echo 100 >$md/sync_speed_min; echo 100 >$md/sync_speed_max
mdadm --quiet /dev/md9 --re-add /dev/loop0
for i in 1 2 3; do dd if=/dev/md9 bs=4096 skip=20000 count=1 iflag=direct status=none | head -c 1; sleep 0.3; done; echo
echo 1000000 >$md/sync_speed_max; echo 1000000 >$md/sync_speed_min
for i in $(seq 100); do [ "$(cat $md/degraded) $(cat $md/sync_action)" != "0 idle" ] || break; sleep 0.2; done
cmp -i 4194304 /run/l0 /run/l1 && echo equal`;

/** `resync_start` behind the union and behind `then`, what three reads of the block saw, and whether the members are equal in the end. */
async function comeBack(then: string): Promise<{ afterUnion: string; before: string; reads: string; end: string }> {
  const { stdout } = await lab.guest("n1").exec(["sh", "-euc", SCRIPT, "sh", then], { env: { UV_USE_IO_URING: "0" } });
  const [afterUnion = "", before = "", reads = "", end = ""] = stdout.trim().split("\n");
  return { afterUnion, before, reads, end };
}

const FRESH = { afterUnion: "0", before: "none", reads: "BBB", end: "equal" };

test("without what a join does: the union moves the resync start back; kernels from 6.9 on read from the member that recovers", async (t) => {
  const { afterUnion, reads, end } = await comeBack(":");
  t.diagnostic(`three reads saw ${reads}; the member that was away has A`);
  assert.deepEqual({ afterUnion, end }, { afterUnion: "0", end: "equal" });
});

test("with it: reads are fresh", async () => {
  assert.deepEqual(await comeBack(`node ${program} md9`), FRESH);
});

test("with it, after an earlier join died while it had the array frozen: the array goes on", async () => {
  assert.deepEqual(await comeBack(`echo frozen >$md/sync_action; node ${program} md9`), FRESH);
  assert.deepEqual(await comeBack(`echo frozen >$md/sync_action; echo none >$md/resync_start; node ${program} md9; [ "$(cat $md/sync_action)" = idle ]`), FRESH);
});
