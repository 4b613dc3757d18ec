/** The options of `runtime:` in Pulumi.yaml that this host knows. */
export interface RuntimeOptions {
  /** Whether the SDK loads ts-node before the program. Default: true. */
  typescript: boolean;
  /** The tsconfig that ts-node takes. Default: the SDK's own choice. */
  tsconfig: string | undefined;
  /** Arguments for node itself, before the program: `--import tsx`. Default: none. */
  nodeargs: string[];
}

/**
 * Reads the runtime options as the official host does, with its messages.
 *
 * @throws Error naming the option that has the wrong type, or a package manager that only the official host has
 * @example runtimeOptions({ typescript: false, nodeargs: "--import tsx" })
 */
export function runtimeOptions(options: Record<string, unknown>): RuntimeOptions {
  const { typescript = true, tsconfig, nodeargs = "", packagemanager = "auto" } = options;
  if (typeof typescript !== "boolean") throw new Error("typescript option must be a boolean");
  if (tsconfig !== undefined && typeof tsconfig !== "string") throw new Error("tsconfigpath option must be a string");
  if (typeof nodeargs !== "string") throw new Error("nodeargs option must be a string");
  if (packagemanager !== "auto" && packagemanager !== "npm") {
    throw new Error(
      `packagemanager ${JSON.stringify(packagemanager)} is not implemented by this project's stand-in for ` +
        "pulumi-language-nodejs: use npm, or install the official Pulumi CLI",
    );
  }
  return { typescript, tsconfig, nodeargs: splitWords(nodeargs) };
}

/**
 * Splits a line into words as a POSIX shell does: blanks separate, single and double quotes and a backslash keep.
 *
 * @throws Error if a quote is not closed
 * @example splitWords(`--import "a b" c\\ d`) // ["--import", "a b", "c d"]
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let index = 0; index < line.length; index++) {
    const character = line.charAt(index);
    if (quote !== "'" && character === "\\" && index + 1 < line.length) {
      word = (word ?? "") + line.charAt(++index);
    } else if (quote !== "") {
      if (character === quote) quote = "";
      else word += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= "";
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + character;
    }
  }
  if (quote !== "") throw new Error(`EOF found when expecting closing quote in ${JSON.stringify(line)}`);
  if (word !== undefined) words.push(word);
  return words;
}
