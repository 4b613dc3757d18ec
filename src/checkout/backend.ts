import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { realPath } from "../core/real-path.ts";
import { shellWord } from "../core/shell-word.ts";
import { readPulumiProject } from "./pulumi-files.ts";
import { localDir } from "./resolve.ts";

/** Where Pulumi keeps the state of a checkout's stacks. */
export interface Backend {
  /** As messages name it, without a password or a query. @example "file:///srv/pulumi" */
  name: string;
  /** The folder of a backend of files; undefined for all others. */
  folder: string | undefined;
  /** Whether it is the checkout's own, `.local/state`, however it is spelled. */
  isOwn: boolean;
}

const scheme = "file://";

/** The folder of a checkout's own backend. */
export const ownFolder = (root: string) => path.join(localDir(root), "state");

/** In a URL: the backend writes no files of attributes beside a state (state-attributes.ts). */
const skipping = "metadata=skip";

/**
 * The backend that the engine uses in a checkout, by the engine's own rule: PULUMI_BACKEND_URL, else what Pulumi.yaml says,
 * else where `pulumi login` points, which only the engine knows.
 */
export function usedBackend(root: string, environment: NodeJS.ProcessEnv = process.env): Backend {
  const url = usedUrl(root, environment);
  const folder = url?.startsWith(scheme) ? folderOf(url, root) : undefined;
  const isOwn = folder !== undefined && realPath(folder) === realPath(ownFolder(root));
  return { name: nameOf(url), folder, isOwn };
}

/** Whether the backend may be one of files: where `pulumi login` chose it, only the engine knows. */
export function mayBeFolder(root: string, environment: NodeJS.ProcessEnv = process.env): boolean {
  return usedUrl(root, environment)?.startsWith(scheme) ?? true;
}

const usedUrl = (root: string, environment: NodeJS.ProcessEnv) => environment.PULUMI_BACKEND_URL || urlIn(root);

/** Pulumi.yaml's; one that is not there says what the product's says. */
const urlIn = (root: string) =>
  existsSync(path.join(root, "Pulumi.yaml")) ? readPulumiProject(root).backend : `${scheme}./.local/state?${skipping}`;

/** As the engine reads it: `~` is the user's home, and what is relative is so to the checkout. */
function folderOf(url: string, root: string): string | undefined {
  const [given = ""] = url.slice(scheme.length).split("?");
  try {
    return path.resolve(root, decodeURIComponent(given).replace(/^~(?=\/|$)/, homedir()));
  } catch {
    return undefined;
  }
}

/**
 * The variable that leads the engine to the checkout's own backend where the URL that it has would not do: one that does not skip
 * attributes; and Pulumi.yaml's relative one where the checkout's path needs coding, since the engine puts that before it as it is, and
 * then decodes the whole. Jenkins has such paths: `…/project%2Fmain`.
 */
export function ownBackend(root: string, environment: NodeJS.ProcessEnv): { PULUMI_BACKEND_URL?: string } {
  const { folder, isOwn } = usedBackend(root, environment);
  if (!isOwn || folder === undefined) return {};
  if (skips(usedUrl(root, environment)) && !/[%?#]/.test(folder)) return {};
  return { PULUMI_BACKEND_URL: `${pathToFileURL(folder).href}?${skipping}` };
}

/** How a backend of files is told to write no attributes; undefined where it is, and for other backends. */
export function skipRemedy(root: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const url = usedUrl(root, environment);
  if (!url?.startsWith(scheme) || skips(url)) return undefined;
  const better = `${url}${url.includes("?") ? "&" : "?"}${skipping}`;
  // A shell takes `?` for a pattern, and `&` for the end of a command.
  if (environment.PULUMI_BACKEND_URL) return `export PULUMI_BACKEND_URL=${shellWord(better)}`;
  return `in Pulumi.yaml, \`url: ${better}\` under \`backend\``;
}

const skips = (url = "") => (url.split("?")[1] ?? "").split("&").includes(skipping);

/** A password may have any character, also where it should be coded: no piece of it is shown, rather less of the name. */
function nameOf(url: string | undefined): string {
  if (url === undefined) return "that `pulumi login` chose";
  if (url.startsWith(scheme)) return url.split("?")[0] ?? "";
  const [name = ""] = url.split(/[?#]/);
  return url.slice(name.length).includes("@") ? name.replace(/\/\/.*/, "//…") : name.replace(/\/\/.*@/, "//");
}
