/** How a container of the image is started; the Containerfile says the same (a test compares them). */
import manifest from "../../package.json" with { type: "json" };

/** Debian release that the tools are taken from. */
export const SUITE = "trixie";
/** The name in deploy/; container engines put `docker.io/library/` before a name without a registry. */
export const NAME = `meshstor:${manifest.version}`;

/** How Node.js runs our programs: with a small young generation, because looking at a host leaves much short-lived garbage (docs/decisions/0017). */
export const NODE_FLAGS = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=4"] as const;

/**
 * What our programs find in their environment: io_uring is often forbidden in containers, and libuv must not try it;
 * glibc keeps one heap, and gives back what is free at its end (mallopt(3)), because each thread of Node.js would have
 * one of its own, of which little is in use (docs/decisions/0017).
 */
export const NODE_ENVIRONMENT = { UV_USE_IO_URING: "0", MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "131072" } as const;
const VARIABLES = Object.entries(NODE_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);

export const CONFIG = {
  Entrypoint: ["/usr/bin/node", ...NODE_FLAGS, "/meshstor/meshstor.mjs"],
  Env: ["PATH=/usr/sbin:/usr/bin", "NODE_ENV=production", ...VARIABLES],
  User: "65532:65532",
  WorkingDir: "/",
  Labels: {
    "org.opencontainers.image.title": "meshstor",
    "org.opencontainers.image.description": manifest.description,
    "org.opencontainers.image.version": manifest.version,
    "org.opencontainers.image.licenses": manifest.license,
  },
} as const;
