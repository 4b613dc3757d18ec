import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** Links of a page that lead out of the repository are not followed: a test goes nowhere. */
const isElsewhere = (target: string) => /^([a-z][a-z0-9+.-]*:|\/\/)/i.test(target);

/**
 * The links of Markdown pages that lead nowhere: to a file or folder that does not exist, or to a heading that a page does not have.
 *
 * @param pages paths relative to the root of the repository
 * @returns a line for each, in the order of the pages
 */
export function brokenLinks(root: string, pages: readonly string[]): string[] {
  return pages.flatMap((page) =>
    linksOf(readFileSync(path.join(root, page), "utf8"))
      .filter((target) => !isElsewhere(target))
      .flatMap((target) => problemOf(root, page, target) ?? [])
      .map((problem) => `${page}: ${problem}`),
  );
}

function problemOf(root: string, page: string, target: string): string | undefined {
  const [, to = "", anchor] = /^([^#]*)(?:#(.*))?$/.exec(target) ?? [];
  const file = to === "" ? page : path.posix.join(path.posix.dirname(page), decodeURI(to));
  if (file.startsWith("../") || path.isAbsolute(to)) return `${target} leads out of the repository`;
  const absolute = path.join(root, file);
  if (!existsSync(absolute)) return `${target} leads to ${file}, which does not exist`;
  if (anchor === undefined) return undefined;
  if (!statSync(absolute).isFile() || !file.endsWith(".md"))
    return `${target} names a heading of ${file}, which is no page`;
  if (!anchorsOf(readFileSync(absolute, "utf8")).has(decodeURI(anchor)))
    return `${target} names a heading that ${file} does not have`;
  return undefined;
}

/** Where inline links, images, reference definitions and HTML's attributes lead. */
function linksOf(text: string): string[] {
  const prose = withoutBlocks(text).replaceAll(/(`+)(?:(?!\1)[\s\S])*?\1(?!`)/g, "");
  const inline = [...prose.matchAll(/\]\(\s*<?([^\s)>]*)>?(?:\s+"[^"]*")?\s*\)/g)];
  const references = [...prose.matchAll(/^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)/gm)];
  const attributes = [...prose.matchAll(/\s(?:href|src)="([^"]*)"/g)];
  return [...inline, ...references, ...attributes].map(([, target]) => target as string);
}

/** The anchors of a page's headings, as GitHub makes them: of two alike the second one ends in `-1`. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  const seen = new Map<string, number>();
  for (const [, heading] of withoutBlocks(text).matchAll(/^#{1,6}[ \t]+(.*?)[ \t]*#*$/gm)) {
    const shown = (heading as string).replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = shown
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "")
      .replaceAll(" ", "-");
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}

/** A page without its blocks of code and its comments: what is in them is shown, and leads nowhere. */
function withoutBlocks(text: string): string {
  return text.replaceAll(/<!--[\s\S]*?-->/g, "").replaceAll(/^( *)(```+|~~~+)[^\n]*\n[\s\S]*?^ *\2[`~]*[ \t]*$/gm, "");
}
