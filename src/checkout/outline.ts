import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { BackupSettings } from "../config/backup-settings.ts";
import type { HostSettings } from "../config/settings.ts";
import { checkoutOf } from "./checkout-folder.ts";
import type { Stack } from "./stack.ts";

/** What of a stack's config the daily verbs need. Sizes in bytes. */
export interface Outline {
  /** The stack's name. */
  stack: string;
  /** Absolute path of the checkout. */
  root: string;
  /** The stack's file, as errors name it. */
  file: string;
  host: HostSettings;
  projects: Record<string, ProjectOutline>;
}

export interface ProjectOutline {
  memory: number;
  cpus: number;
  disk: number;
  rootDisk: number;
  /** undefined: no backups are made by themselves. */
  backup?: BackupSettings | undefined;
}

/** Another number whenever an outline, or the way to it, changes. */
const format = 4;

/**
 * The outline of a stack's config, from the last time that the file had this content or, else, from the config itself. To
 * read and check that takes longer than all else that a list of VMs does.
 *
 * @throws UserError when there is no such stack, or its config has mistakes
 * @example await readOutline("local", process.cwd())
 */
export async function readOutline(stack: string, folder: string): Promise<Outline> {
  const root = checkoutOf(folder);
  const kept = root && keptOutline(stack, root);
  if (kept) return kept;
  const { loadStack } = await import("./stack.ts");
  const outline = outlineOf(loadStack(stack, folder));
  keepOutline(outline);
  return outline;
}

/** What the daily verbs need of a stack whose config has been read. */
export function outlineOf({ name, root, file, config, host }: Stack): Outline {
  const projects = Object.entries(config.projects).map(([project, { memory, cpus, disk, rootDisk, backup }]) => [
    project,
    { memory, cpus, disk, rootDisk, backup },
  ]);
  return { stack: name, root, file, host: host.settings, projects: Object.fromEntries(projects) };
}

/** Kept by what it was made of: an edit, by whomever, makes it of no use. */
interface KeptOutline {
  key: string;
  outline: Outline;
}

const fileOf = (stack: string, root: string) => path.join(root, ".local", "outlines", `${stack}.json`);

/** Of Pulumi.yaml too: it has values for all stacks, and may say where their files are. */
function keyOf({ root, file }: Pick<Outline, "root" | "file">): string {
  const texts = ["Pulumi.yaml", file].map((name) => readFileSync(path.join(root, name), "latin1"));
  return createHash("sha256")
    .update(JSON.stringify([format, root, file, ...texts]))
    .digest("hex");
}

function keptOutline(stack: string, root: string): Outline | undefined {
  try {
    const { key, outline } = JSON.parse(readFileSync(fileOf(stack, root), "utf8")) as KeptOutline;
    return key === keyOf({ root, file: outline.file }) ? outline : undefined;
  } catch {
    return undefined; // the first time, or there is no such stack, which is said by who reads its config
  }
}

/** Where nothing can be written the config is read each time. */
function keepOutline(outline: Outline): void {
  const file = fileOf(outline.stack, outline.root);
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    const kept: KeptOutline = { key: keyOf(outline), outline };
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(kept));
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // See above.
  }
}
