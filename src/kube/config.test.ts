import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { MeshStorError } from "../base/errors.ts";
import { inClusterConfig, loadKubeConfig, type LoadOptions } from "./config.ts";

const dir = mkdtempSync(join(tmpdir(), "meshstor-config-"));
after(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
function kubeconfig(cluster: object, user: object, more: object = {}): string {
  const path = join(dir, `config-${(count += 1)}`);
  const file = {
    "current-context": "here",
    contexts: [
      { name: "here", context: { cluster: "c", user: "u" } },
      { name: "other", context: { cluster: "gone", user: "u" } },
    ],
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
    ...more,
  };
  writeFileSync(path, JSON.stringify(file));
  return path;
}
const base64 = (text: string) => Buffer.from(text).toString("base64");
const server = { server: "https://10.0.0.1:6443" };
/** Everything that a configuration gives. */
function given(options: LoadOptions) {
  const config = loadKubeConfig({ env: {}, ...options });
  return {
    server: config.server,
    serverName: config.serverName,
    insecure: config.insecureSkipTlsVerify,
    ca: config.ca?.(),
    client: config.clientCertificate?.(),
    token: config.token?.(),
  };
}
const nothing = { serverName: undefined, insecure: undefined, ca: undefined, client: undefined, token: undefined };
function refusal(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof MeshStorError && error.code === "HostUnsuitable", String(error));
    return error.message;
  }
  throw new Error("was not refused");
}

describe("kubeconfig", () => {
  test("data inside", () => {
    const path = kubeconfig(
      { ...server, "certificate-authority-data": base64("CA"), "tls-server-name": "kubernetes" },
      { "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY"), token: "T" },
    );
    assert.deepEqual(given({ path }), { server: server.server, serverName: "kubernetes", insecure: undefined, ca: "CA", client: { cert: "CERT", key: "KEY" }, token: "T" });
  });

  test("files, relative to the kubeconfig; a token file wins over a token", () => {
    for (const [name, text] of Object.entries({ ca: "CA", cert: "CERT", key: "KEY", token: "FROM FILE\n" })) writeFileSync(join(dir, name), text);
    const path = kubeconfig({ ...server, "certificate-authority": "ca" }, { "client-certificate": "cert", "client-key": join(dir, "key"), tokenFile: "token", token: "T" });
    assert.deepEqual(given({ path }), { ...nothing, server: server.server, ca: "CA", client: { cert: "CERT", key: "KEY" }, token: "FROM FILE" });
  });

  test("a context by name, no user, no verification", () => {
    const path = kubeconfig({ server: "http://[::1]:8001", "insecure-skip-tls-verify": true }, {}, { contexts: [{ name: "x", context: { cluster: "c" } }] });
    assert.deepEqual(given({ path, context: "x" }), { ...nothing, server: "http://[::1]:8001", insecure: true });
  });

  test("KUBECONFIG: the first file that can be read", () => {
    const path = kubeconfig(server, { token: "T" });
    assert.deepEqual(given({ env: { KUBECONFIG: `${join(dir, "none")}:${path}`, KUBERNETES_SERVICE_HOST: "10.0.0.9" } }).token, "T");
    assert.equal(
      refusal(() => loadKubeConfig({ env: { KUBECONFIG: join(dir, "none") } })),
      `none of the files in KUBECONFIG can be read: ${join(dir, "none")}`,
    );
  });

  test("~/.kube/config last", () => {
    mkdirSync(join(dir, ".kube"));
    writeFileSync(join(dir, ".kube", "config"), "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: [{name: b, cluster: {server: 'https://h'}}]\n");
    assert.deepEqual(given({ env: { HOME: dir } }), { ...nothing, server: "https://h" });
  });

  const bad: [string, () => string, RegExp][] = [
    ["no file", () => join(dir, "none"), /the kubeconfig .* cannot be read: ENOENT/],
    ["no current context", () => kubeconfig(server, {}, { "current-context": "" }), /no current-context is set/],
    ["a context that is not there", () => kubeconfig(server, {}, { "current-context": "x" }), /there is no context "x" under contexts/],
    ["a cluster that is not there", () => kubeconfig(server, {}, { "current-context": "other" }), /there is no cluster "gone" under clusters/],
    ["lists that are none", () => kubeconfig(server, {}, { clusters: "x" }), /there is no cluster "c"/],
    ["no server", () => kubeconfig({}, {}), /server undefined is not an http or https URL/],
    ["a server of another kind", () => kubeconfig({ server: "ftp://x" }, {}), /server "ftp:\/\/x" is not an http or https URL/],
    ["half a client certificate", () => kubeconfig(server, { "client-certificate-data": "eA==" }), /needs both client-certificate and client-key/],
    ["an exec plugin", () => kubeconfig(server, { exec: { command: "login" } }), /user "u" signs in by exec, which is not supported/],
    ["an auth provider", () => kubeconfig(server, { "auth-provider": { name: "gcp" } }), /signs in by auth-provider/],
    ["a password", () => kubeconfig(server, { username: "a", password: "b" }), /signs in by username/],
  ];
  for (const [what, path, words] of bad)
    test(what, () =>
      assert.match(
        refusal(() => loadKubeConfig({ path: path(), env: {} })),
        words,
      ),
    );

  test("a broken file is not quoted: it holds secrets", () => {
    const path = join(dir, "broken");
    writeFileSync(path, "users:\n  - token: s3cret\n bad: [\n");
    assert.ok(!refusal(() => loadKubeConfig({ path, env: {} })).includes("s3cret"));
  });
});

describe("in the cluster", () => {
  const write = (token: string, ca = "CA"): void => {
    writeFileSync(join(dir, "token"), `${token}\n`);
    writeFileSync(join(dir, "ca.crt"), ca);
  };
  const env = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

  test("IPv4 and IPv6", () => {
    assert.equal(inClusterConfig({ env, serviceAccountDir: dir }).server, "https://10.96.0.1:443");
    assert.equal(inClusterConfig({ env: { KUBERNETES_SERVICE_HOST: "fd00::1" }, serviceAccountDir: dir }).server, "https://[fd00::1]:443");
    assert.match(
      refusal(() => inClusterConfig({ env: {} })),
      /KUBERNETES_SERVICE_HOST is not set/,
    );
  });

  test("token and CA are read again after a minute, and on demand", () => {
    let now = 1000;
    write("one");
    const config = inClusterConfig({ env, serviceAccountDir: dir, now: () => now });
    assert.deepEqual([config.token!(), config.ca!()], ["one", "CA"]);
    write("two", "CA2");
    now += 59_000;
    assert.deepEqual([config.token!(), config.ca!()], ["one", "CA"]);
    now += 1000;
    assert.deepEqual([config.token!(), config.ca!()], ["two", "CA2"]);
    write("three");
    config.refresh!();
    assert.equal(config.token!(), "three");
  });

  test("a file that is away for a moment: the old text serves", () => {
    write("one");
    const config = inClusterConfig({ env, serviceAccountDir: dir });
    config.token!();
    rmSync(join(dir, "token"));
    config.refresh!();
    assert.equal(config.token!(), "one");
    assert.throws(() => inClusterConfig({ env, serviceAccountDir: dir }).token!(), /ENOENT/);
  });
});
