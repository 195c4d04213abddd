/** Kubeconfig files: everything a client needs in one file, so that it can be copied into a guest. */
import { readFileSync, writeFileSync } from "node:fs";
import { isIPv6 } from "node:net";

import { stringify } from "yaml";

import type { KeyPair } from "./certificates.ts";

/** How a client proves who it is. */
export type Credential = { readonly token: string } | KeyPair;

/** The URL of an API server. */
export function serverURL(address: string, port: number): string {
  return `https://${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/** Writes a kubeconfig with one cluster, one user and one context (mode 0600). */
export function writeKubeconfig(path: string, server: string, authorityCertificate: string, credential: Credential): void {
  const inline = (file: string): string => readFileSync(file).toString("base64");
  const user = "token" in credential ? { token: credential.token } : { "client-certificate-data": inline(credential.certificate), "client-key-data": inline(credential.key) };
  const content = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "lab", cluster: { server, "certificate-authority-data": inline(authorityCertificate) } }],
    users: [{ name: "user", user }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "user" } }],
    "current-context": "lab",
  };
  writeFileSync(path, stringify(content, { lineWidth: 0 }), { mode: 0o600 });
}
