/** Tables and ages as kubectl prints them. */

/** Columns that are as wide as their widest cell, three spaces apart; the last one is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 3)))
      .join("")
      .trimEnd();
  return [head, ...rows].map((row) => `${line(row)}\n`).join("");
}

/** A span of time in one or two units: 45s, 4m10s, 25m, 5h12m, 30h, 3d4h, 90d; empty where the time is not known. */
export function age(fromIso: string | undefined, nowMs: number): string {
  const ms = nowMs - Date.parse(fromIso ?? "");
  if (Number.isNaN(ms)) return "";
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const two = (big: string, rest: string) => (rest.startsWith("0") ? big : `${big}${rest}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return two(`${minutes}m`, `${seconds % 60}s`);
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return two(`${hours}h`, `${minutes % 60}m`);
  if (hours < 48) return `${hours}h`;
  return days < 8 ? two(`${days}d`, `${hours % 24}h`) : `${days}d`;
}
