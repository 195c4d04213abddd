/** What the API server counts of the requests that it has answered. */
import type { World } from "../lab/world/world.ts";

export interface ApiRequest {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
}

const METRIC = "apiserver_request_total";

/** Counts by verb and resource. A watch counts when it ends. */
export class ApiRequests {
  readonly #counts: ReadonlyMap<string, number>;

  constructor(counts: ReadonlyMap<string, number>) {
    this.#counts = counts;
  }

  /** What came after an earlier reading. */
  since(earlier: ApiRequests): ApiRequests {
    return new ApiRequests(new Map([...this.#counts].map(([key, count]) => [key, count - (earlier.#counts.get(key) ?? 0)])));
  }

  count(which: (request: ApiRequest) => boolean): number {
    return [...this.#counts].filter(([key]) => which(parse(key))).reduce((sum, [, count]) => sum + count, 0);
  }

  /** `3 PUT leases`, one for each kind that happened. */
  list(which: (request: ApiRequest) => boolean): string[] {
    return [...this.#counts]
      .filter(([key, count]) => count > 0 && which(parse(key)))
      .map(([key, count]) => `${count} ${parse(key).verb} ${parse(key).resource}${parse(key).subresource && `/${parse(key).subresource}`}`);
  }
}

function parse(key: string): ApiRequest {
  return JSON.parse(key) as ApiRequest;
}

/** Reads the counters now. */
export async function apiRequests(world: World): Promise<ApiRequests> {
  const counts = new Map<string, number>();
  for (const line of (await world.kubectl("get", "--raw", "/metrics")).split("\n")) {
    const match = new RegExp(`^${METRIC}\\{(.*)\\} ([\\d.e+]+)$`).exec(line);
    if (!match) continue;
    const labels = new Map([...match[1]!.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1]!, m[2]!]));
    const of = (label: string): string => labels.get(label) ?? "";
    const request: ApiRequest = { verb: of("verb"), group: of("group"), resource: of("resource"), subresource: of("subresource") };
    const key = JSON.stringify(request);
    counts.set(key, (counts.get(key) ?? 0) + Number(match[2]));
  }
  if (counts.size === 0) throw new Error(`the API server does not show ${METRIC}`);
  return new ApiRequests(counts);
}
