/** How the API server is reached: from a kubeconfig file, or from inside the cluster. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { MeshStorError } from "../base/errors.ts";

/** Address and credentials of an API server. Texts are PEM; what comes from files is read again as it ages. */
export interface KubeConfig {
  /** Base URL, for example https://10.0.0.1:6443 or https://[fd00::1]:6443. */
  readonly server: string;
  /** Name that the server's certificate must carry, where it is not the URL's host. */
  readonly serverName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  ca?(): string;
  clientCertificate?(): { cert: string; key: string };
  /** The bearer token. */
  token?(): string;
  /** Reads everything from its files again; called after an answer of 401. */
  refresh?(): void;
}
