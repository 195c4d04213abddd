/** A copy of a world at rest, that is with no pass under way: a pass is a generator, which cannot be copied. */
import type { Choices } from "../src/core/testing/choices.ts";
import type { World } from "../src/core/testing/world.ts";

/** Never changed once made: shared by all copies. */
const SHARED: ReadonlySet<string> = new Set(["protocol", "session", "intent", "host", "last", "versions", "status", "action", "point", "memory"]);

export function isAtRest(w: World): boolean {
  return w.nodes.every((n) => n.agent.pass === null);
}

/** The copy draws from `choices`; it has no log and no trace of what happened before. */
export function cloneWorld(w: World, choices: Choices): World {
  if (!isAtRest(w)) throw new Error("a world with a pass under way cannot be copied");
  const seen = new Map<object, object>();
  const clone = <T>(value: T): T => (typeof value === "object" && value !== null ? (copy(value, seen) as T) : value);
  const { rng: _rng, log: _log, trace: _trace, crashed: _crashed, ...rest } = w;
  const copied = clone(rest);
  return { ...copied, api: { ...copied.api, versions: [...w.api.versions] }, rng: choices, log: [], trace: [], crashed: [] };
}

/** The same object met twice is one object in the copy too. */
function copy(value: object, seen: Map<object, object>): object {
  const known = seen.get(value);
  if (known) return known;
  if (value instanceof Set) return remember(seen, value, new Set(value));
  if (value instanceof Map) {
    const map = remember(seen, value, new Map<unknown, unknown>());
    for (const [key, item] of value as Map<unknown, unknown>) map.set(key, typeof item === "object" && item !== null ? copy(item, seen) : item);
    return map;
  }
  if (Array.isArray(value)) {
    const list: unknown[] = remember(seen, value, []);
    for (const item of value as unknown[]) list.push(typeof item === "object" && item !== null ? copy(item, seen) : item);
    return list;
  }
  const made: Record<string, unknown> = remember(seen, value, {});
  for (const [key, item] of Object.entries(value)) made[key] = typeof item === "object" && item !== null && !SHARED.has(key) ? copy(item as object, seen) : item;
  return made;
}

function remember<T extends object>(seen: Map<object, object>, from: object, to: T): T {
  seen.set(from, to);
  return to;
}
