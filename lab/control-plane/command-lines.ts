/**
 * How etcd and kube-apiserver are started. Both run in the control plane's folder; etcd is reached
 * through unix sockets there (relative names, so the length of the folder's path does not matter),
 * and the API server's port is the only one that a control plane takes.
 */
import { isIPv4, isIPv6 } from "node:net";

import type { Keys } from "./certificates.ts";

/** etcd's sockets in the control plane's folder; it accepts only names that look like a host and a port. */
const CLIENT_SOCKET = "etcd-client:0";
const PEER_SOCKET = "etcd-peer:0";
export const ETCD_SOCKETS = [CLIENT_SOCKET, PEER_SOCKET] as const;
const CLIENT_URL = `unix://${CLIENT_SOCKET}`;
const PEER_URL = `unix://${PEER_SOCKET}`;

/** The API server's own service, by which pods reach it: the first address of each service range below. */
export const SERVICE_ADDRESSES = ["10.96.0.1", "fd00:10:96::1"] as const;

/** etcd's arguments: one member, no fsync (its power is never cut). */
export function etcdArguments(): string[] {
  return [
    "--name=lab",
    "--data-dir=etcd",
    `--listen-client-urls=${CLIENT_URL}`,
    `--advertise-client-urls=${CLIENT_URL}`,
    `--listen-peer-urls=${PEER_URL}`,
    `--initial-advertise-peer-urls=${PEER_URL}`,
    `--initial-cluster=lab=${PEER_URL}`,
    "--unsafe-no-fsync",
    // Milliseconds. The only member elects itself, and would wait a second for others after every restart.
    "--heartbeat-interval=20",
    "--election-timeout=100",
    "--logger=zap",
    "--log-level=warn",
  ];
}

/** What decides the API server's arguments. */
export interface ServerSettings {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly keys: Keys;
  /** CSV file of static tokens. */
  readonly tokenFile: string;
  /** Further arguments, after ours. */
  readonly extra: readonly string[];
}

/** kube-apiserver's arguments. */
export function apiserverArguments(settings: ServerSettings): string[] {
  const { addresses, port, keys, tokenFile, extra } = settings;
  const advertised = addresses.find((address) => isIPv4(address)) ?? addresses[0] ?? "";
  return [
    `--etcd-servers=${CLIENT_URL}`,
    `--bind-address=${bindAddress(addresses)}`,
    `--secure-port=${port}`,
    `--tls-cert-file=${keys.server.certificate}`,
    `--tls-private-key-file=${keys.server.key}`,
    `--client-ca-file=${keys.authority.certificate}`,
    // controller-manager and other servers behind this one look for it; nobody holds a certificate of this name.
    `--requestheader-client-ca-file=${keys.authority.certificate}`,
    "--requestheader-allowed-names=front-proxy",
    "--requestheader-username-headers=X-Remote-User",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    `--token-auth-file=${tokenFile}`,
    `--service-account-key-file=${keys.tokenKey}`,
    `--service-account-signing-key-file=${keys.tokenKey}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    "--authorization-mode=Node,RBAC",
    "--allow-privileged=true",
    // Without it the server would take its own address out of the lab and refuse loopback.
    "--endpoint-reconciler-type=none",
    `--advertise-address=${advertised}`,
    `--service-cluster-ip-range=${isIPv6(advertised) ? "fd00:10:96::/112" : "10.96.0.0/16"}`,
    "--kubelet-preferred-address-types=InternalIP,Hostname",
    "--profiling=false",
    ...extra,
  ];
}

/** The one address given, or all of the machine's (or namespace's) when there are several. */
function bindAddress(addresses: readonly string[]): string {
  if (addresses.length === 1) return addresses[0] ?? "";
  return addresses.some((address) => isIPv6(address)) ? "::" : "0.0.0.0";
}
