/** The sentences that source files can say, found in their text, so that a run can tell which were never said. */

export interface Sentence {
  file: string;
  /** As in the source, with … for what is filled in. */
  text: string;
  pattern: RegExp;
}

/** String literals of a source text that are sentences: three words or more, outside comments and imports. */
export function sentencesIn(file: string, source: string): Sentence[] {
  return literals(source).flatMap((parts) => {
    const text = parts.join("…");
    if (text.split(" ").length < 3 || !/[a-z]{2}/.test(text)) return [];
    return [{ file, text, pattern: new RegExp(`^${parts.map(escaped).join(".*")}$`, "s") }];
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Every string or template as the fixed parts between what is filled in; templates within templates too. */
function literals(source: string): string[][] {
  const found: string[][] = [];
  new Scanner(source, found).code(0);
  return found;
}

class Scanner {
  readonly #source: string;
  readonly #found: string[][];

  constructor(source: string, found: string[][]) {
    this.#source = source;
    this.#found = found;
  }

  /** Reads code from `at` to the brace that closes it, or to the end; returns where it goes on. */
  code(at: number): number {
    const s = this.#source;
    for (let i = at, depth = 0; i < s.length; i += 1) {
      if (s.startsWith("//", i)) i = end(s.indexOf("\n", i), s.length);
      else if (s.startsWith("/*", i)) i = end(s.indexOf("*/", i), s.length) + 1;
      else if (s.startsWith("import ", i) && (i === 0 || s[i - 1] === "\n")) i = end(s.indexOf(";", i), s.length);
      else if (s[i] === '"') i = this.#string(i + 1);
      else if (s[i] === "`") i = this.#template(i + 1);
      else if (s[i] === "{") depth += 1;
      else if (s[i] === "}" && depth === 0) return i;
      else if (s[i] === "}") depth -= 1;
    }
    return s.length;
  }

  #string(at: number): number {
    let i = at;
    while (i < this.#source.length && this.#source[i] !== '"') i += this.#source[i] === "\\" ? 2 : 1;
    this.#found.push([this.#source.slice(at, i)]);
    return i;
  }

  #template(at: number): number {
    const s = this.#source;
    const parts: string[] = [];
    let from = at;
    let i = at;
    for (; i < s.length && s[i] !== "`"; i += 1) {
      if (!s.startsWith("${", i)) continue;
      parts.push(s.slice(from, i));
      i = this.code(i + 2);
      from = i + 1;
    }
    this.#found.push([...parts, s.slice(from, i)]);
    return i;
  }
}

function end(found: number, length: number): number {
  return found < 0 ? length : found;
}
