/**
 * The keys of one control plane: a small certificate authority of its own, what the API server
 * shows to its clients, what clients show to it, and the key that signs service account tokens.
 */
import { createHash, generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";

import { runToEnd } from "./processes.ts";

/** Longer than any lab lives. */
const DAYS = "3650";

/** Independent of the machine's own openssl.cnf. */
const CONFIGURATION = `
[req]
distinguished_name = dn
prompt = no
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
`;

/** Paths (PEM) of a certificate and its private key. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Where a control plane's keys lie. */
export interface Keys {
  readonly authority: KeyPair;
  readonly server: KeyPair;
  /** Private key that signs service account tokens. */
  readonly tokenKey: string;
}

/**
 * Makes what is missing of a control plane's keys in `dir`.
 * @param names host names and IP addresses for which clients may know the server.
 */
export async function ensureKeys(dir: string, names: readonly string[]): Promise<Keys> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const keys = { authority: pair(dir, "ca"), server: pair(dir, "server"), tokenKey: join(dir, "service-account.key") };
  if (!existsSync(keys.tokenKey)) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    writeFileSync(keys.tokenKey, privateKey.export({ type: "sec1", format: "pem" }), { mode: 0o600 });
  }
  if (!existsSync(keys.authority.certificate)) {
    writeFileSync(join(dir, "openssl.cnf"), CONFIGURATION);
    await makeCertificate(dir, keys.authority, "/CN=meshstor-lab", ["-extensions", "ca"]);
  }
  if (!existsSync(keys.server.certificate)) {
    const san = names.map((name) => (isIP(name) === 0 ? `DNS:${name}` : `IP:${name}`)).join(",");
    await makeCertificate(dir, keys.server, "/CN=kube-apiserver", ["-extensions", "server", "-addext", `subjectAltName=${san}`], keys.authority);
  }
  return keys;
}

/** Makes (once) a client certificate: the API server takes its holder for the user, a member of the groups. */
export async function ensureClientCertificate(dir: string, user: string, groups: readonly string[]): Promise<KeyPair> {
  const client = pair(dir, `client-${identityFileName(user, ...groups)}`);
  if (existsSync(client.certificate)) return client;
  const escape = (text: string): string => text.replaceAll(/[\\/+]/g, "\\$&");
  const subject = [...groups.map((group) => `/O=${escape(group)}`), `/CN=${escape(user)}`].join("");
  await makeCertificate(dir, client, subject, ["-extensions", "client"], pair(dir, "ca"));
  return client;
}

/** A file name for an identity: readable, and never that of another one. */
export function identityFileName(user: string, ...others: readonly string[]): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([user, ...others]))
    .digest("hex")
    .slice(0, 8);
  return `${user.replaceAll(/[^\w.-]+/g, "-").slice(0, 80)}-${hash}`;
}

function pair(dir: string, name: string): KeyPair {
  return { certificate: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
}

async function makeCertificate(dir: string, out: KeyPair, subject: string, options: readonly string[], signer?: KeyPair): Promise<void> {
  const by = signer === undefined ? [] : ["-CA", signer.certificate, "-CAkey", signer.key];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", out.key];
  const argv = ["openssl", "req", "-x509", "-config", join(dir, "openssl.cnf"), "-days", DAYS, "-subj", subject, ...key, "-out", out.certificate, ...by, ...options];
  const { code, stderr } = await runToEnd(argv, { timeoutMilliseconds: 60_000 });
  if (code !== 0) throw new Error(`openssl cannot make ${out.certificate}: ${stderr}`);
}
