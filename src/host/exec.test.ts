import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshStorError } from "../base/errors.ts";
import { describe, failure, run, runOk, whatEnds } from "./exec.ts";
import { LANE_LIMIT, STRANDED_LIMIT, StrandedSet } from "./stranded.ts";

const node = (script: string): string[] => [process.execPath, "-e", script];

test("stdin, stdout, stderr and the exit code are passed on", async () => {
  const result = await run(node('process.stdin.pipe(process.stdout);process.stderr.write("two\\n");process.exitCode=3'), { deadlineMs: 10_000, stdin: "one" });
  assert.deepEqual(
    { ...result, command: "", durationMs: 0, stdout: result.stdout.toString() },
    { command: "", exitCode: 3, signal: null, timedOut: false, endedFor: null, stranded: false, truncated: false, durationMs: 0, stdout: "one", stderr: "two\n" },
  );
  assert.equal(failure(result, [3]), null);
  assert.match(failure(result)!.message, /failed with exit code 3: two$/);
});

test("a child that outlives its deadline is killed, also if it ignores SIGTERM", async () => {
  const result = await run(node('process.on("SIGTERM",()=>{});setInterval(()=>{},1000);console.log("up")'), { deadlineMs: 700 });
  assert.deepEqual([result.timedOut, result.signal, result.stranded], [true, "SIGKILL", false]);
  assert.equal(failure(result)!.code, "CommandTimedOut");
  assert.match(describe(result), /did not end within \d+ ms/);
});

test("what runs within a signal is ended by it at once, and nothing begins after it", async () => {
  const stop = new AbortController();
  const started = performance.now();
  const error = await whatEnds.run(stop.signal, async () => {
    const running = runOk(["sleep", "60"], { deadlineMs: 60_000 });
    setTimeout(() => stop.abort(new MeshStorError("CommandTimedOut", "a reason")), 100);
    return running.catch((thrown: unknown) => thrown as MeshStorError);
  });
  assert.match((error as MeshStorError).message, /^'sleep 60' was ended after \d+ ms: a reason$/);
  assert.ok(performance.now() - started < 30_000);
  await assert.rejects(
    whatEnds.run(stop.signal, () => runOk(["true"], { deadlineMs: 60_000 })),
    /^MeshStorError: a reason$/,
  );
  await runOk(["true"], { deadlineMs: 60_000 });
});

test("output is cut at its limit, and the result says so", async () => {
  const result = await run(node('process.stdout.write("x".repeat(100000))'), { deadlineMs: 10_000, maxOutput: 1000 });
  assert.deepEqual([result.stdout.length, result.truncated, result.exitCode], [1000, true, 0]);
});

test("a program that does not exist is a host that lacks it", async () => {
  await assert.rejects(runOk(["/no/such/program"], { deadlineMs: 1000 }), (error) => error instanceof MeshStorError && error.code === "HostUnsuitable");
});

test("the locale is fixed, whatever the machine's is", async () => {
  assert.equal(await runOk(node("process.stdout.write(process.env.LC_ALL)"), { deadlineMs: 10_000 }), "C");
});

test("the breaker: a full lane is refused always, too many in all only for what releases nothing", () => {
  const set = new StrandedSet();
  const ends = Array.from({ length: LANE_LIMIT }, () => set.add("dd", "nvme0n1"));
  assert.throws(() => set.admit("nvme0n1", true), /nvme0n1 does not answer/);
  set.admit("nvme1n1", false);
  for (const end of ends) end();
  set.admit("nvme0n1", false);
  for (let i = 0; i < STRANDED_LIMIT; i += 1) set.add(`child ${i}`, `lane ${i}`);
  assert.throws(() => set.admit("", false), /16 host commands hang/);
  set.admit("", true);
  assert.equal(set.count, STRANDED_LIMIT);
});
