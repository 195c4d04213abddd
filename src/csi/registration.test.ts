import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { createLogger, silentLogger } from "../base/log.ts";
import { Node } from "./gen/csi_pb.ts";
import { Registration } from "./gen/pluginregistration_pb.ts";
import type { NodePort } from "./node-port.ts";
import { registrationService } from "./registration.ts";
import { serveNode } from "./serve.ts";
import { testClient, withServer } from "./test-client.ts";

let folder = "";
before(async () => void (folder = await mkdtemp(join(tmpdir(), "meshstor-registration-"))));
after(() => rm(folder, { recursive: true, force: true }));

test("kubelet hears what this driver is, and its verdict is logged", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line), now: () => new Date(0) });
  await withServer(Registration, registrationService({ csiPath: "/plugins/csi.sock", log }), async (client) => {
    const { type, name, endpoint, supportedVersions } = await client.call("getInfo", {});
    assert.deepEqual({ type, name, endpoint, supportedVersions }, { type: "CSIPlugin", name: "io.meshstor.csi.mesh", endpoint: "/plugins/csi.sock", supportedVersions: ["1.0.0"] });
    await client.call("notifyRegistrationStatus", { pluginRegistered: true });
    await client.call("notifyRegistrationStatus", { pluginRegistered: false, error: "no such node" });
  });
  const time = "1970-01-01T00:00:00.000Z";
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      { time, level: "info", msg: "kubelet has registered this driver", csiPath: "/plugins/csi.sock" },
      { time, level: "error", msg: "kubelet refuses to register this driver", csiPath: "/plugins/csi.sock", error: "no such node" },
    ],
  );
});

test("the registration socket names a CSI socket that answers already, and a clean stop removes both", async () => {
  const [registry, plugin] = [join(folder, "plugins_registry"), join(folder, "plugin")];
  const stop = new AbortController();
  const port = { info: () => ({ nodeID: "n1", maxVolumes: 7, topology: {} }) } as unknown as NodePort;
  const ended = serveNode({ endpoint: `unix://${plugin}/csi.sock`, registration: `unix://${registry}/driver-reg.sock`, port, log: silentLogger, signal: stop.signal });
  const sockets = async () => (await readdir(registry).catch(() => [])).map((name) => join(registry, name));
  try {
    for (let tries = 0; (await sockets()).length === 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    const registration = testClient(Registration, (await sockets())[0] ?? "");
    const node = testClient(Node, (await registration.call("getInfo", {})).endpoint);
    assert.equal((await node.call("nodeGetInfo", {})).nodeId, "n1");
    registration.close();
    node.close();
  } finally {
    stop.abort();
    await ended;
  }
  assert.deepEqual([await readdir(registry), await readdir(plugin)], [[], []]);
});
