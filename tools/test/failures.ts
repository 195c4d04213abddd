/** What a failed part printed about its failure, without all that went well before. */

const LINES = 60;

/** From the reporter's own list of failing tests on; else the last lines. */
export function failuresOf(output: string, lines = LINES): string {
  const text = output.trimEnd();
  const at = text.lastIndexOf("✖ failing tests:");
  const all = (at >= 0 ? text.slice(at) : text).split("\n");
  if (at >= 0) return all.length <= lines ? all.join("\n") : [...all.slice(0, lines), `… ${all.length - lines} more lines in output.log`].join("\n");
  return all.slice(-lines).join("\n");
}
