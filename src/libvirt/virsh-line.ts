import { shellWord } from "../core/shell-word.ts";

/** Commands as virsh's own parser reads them, and as people can paste them into a shell. */

/**
 * One word as virsh's own command parser reads it: as a shell does. Quotes keep `;`, `#`, backslashes and blanks together; nothing keeps a
 * line break or another control character: a virsh that reads its input ends the line at it, or edits what was typed before.
 */
export const quoteForVirsh = shellWord;

/** Verbs that are about nothing by its name: an option may stand right behind them. */
const aboutNoName = /^(echo|list|(net|pool|nwfilter)-list|domcapabilities|domstats)$/;

/**
 * A command in which a name stays one. No quotes keep virsh from taking a word that begins with `--` for an option, and any user may
 * call a file so in a folder that is a pool: such a name goes behind all options and a `--`.
 *
 * @param command the verb, the name of what it is about, whatever else has no option's name, then the options
 * @example lineForVirsh(["vol-dumpxml", "--help", "--pool", "isos"]) === "vol-dumpxml --pool isos -- --help"
 */
export function lineForVirsh(command: string[]): string {
  return nameLast(command).map(quoteForVirsh).join(" ");
}

function nameLast(command: string[]): string[] {
  const [verb = "", name = ""] = command;
  if (!name.startsWith("--") || aboutNoName.test(verb)) return command;
  const found = command.findIndex((word, i) => i > 1 && word.startsWith("--"));
  const end = found < 0 ? command.length : found;
  return [verb, ...command.slice(end), "--", ...command.slice(1, end)];
}

/** A command as it is typed into a shell. */
export const virshInShell = (uri: string, ...command: string[]) =>
  ["virsh -c", quoteForVirsh(uri), lineForVirsh(command)].join(" ").trimEnd();
