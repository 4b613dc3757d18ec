/** A word as a POSIX shell reads it back. @example shellWord("it's") === `'it'\\''s'` */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
