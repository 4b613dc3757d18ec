import { notedByEngine } from "./read-stack-file.ts";

/** No filesystem gives a file less room than a sector of a disk. */
const block = 512;

/** What an engine adds to a stack's file, with its value, behind the last key. */
const salt = "encryptionsalt: ";

/**
 * Whether what is there of a stack's file can be explained by a write of an engine that failed. An engine writes the file where no salt
 * is noted in it yet: the text as it was, but for white space, and the salt; aliases and some words it writes otherwise, and then its
 * own word tells. A full disk ends that with a block, and so does a kill. One that its user has shortened ends anywhere, and as a rule
 * with a line. Pure.
 *
 * @param said what the engine printed before it began its work, where no guest's words can be
 */
export function isCutOff(now: Buffer, before: Buffer, said = ""): boolean {
  const was = before.toString("latin1");
  if (now.length % block !== 0 || /^(encryptionsalt|encryptedkey):/m.test(was)) return false;
  if (saysCutOff(said)) return true;
  const text = now.toString("latin1");
  const [end = ""] = /[^\n]*$/.exec(text) ?? [];
  const isInSalt = end !== "" && (salt.startsWith(end) || end.startsWith(salt));
  const is = wordsOf(isInSalt ? text.slice(0, -end.length) : text);
  const all = wordsOf(was);
  return all.startsWith(is) && (isInSalt || is.length < all.length);
}

/** Whether an engine says itself that it could not write a stack's file, as it begins one or works on it (Pulumi's pkg/cmd/pulumi). */
const saysCutOff = (said: string) => /^error: (?:.*: )?sav(?:e|ing) stack config: (?:write|close) /m.test(said);

/** Without what an engine notes, and white space, in which its print of a file may differ. */
const wordsOf = (text: string) => text.replace(notedByEngine, "").replace(/[ \t\r\n]/g, "");
