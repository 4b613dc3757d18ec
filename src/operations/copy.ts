import { hostName } from "../core/names.ts";
import { findRunningVm } from "./find-vm.ts";
import type { CommandLine } from "./foreground.ts";
import { currentSshConfig } from "./ssh-targets.ts";

/** One side of a copy: a path in a project's VM or, without a project, on this machine. */
export interface CopySide {
  project?: string;
  path: string;
}

export interface Copy {
  from: CopySide;
  to: CopySide;
  /** Whether folders are copied with all that is in them. */
  recursive: boolean;
}

/** Reads `name:path` or a path of this machine; one with a `/` before its `:` is the latter. @example copySide("myapp:notes.md") */
export function copySide(text: string): CopySide {
  const [, project, path] = /^([a-z0-9][a-z0-9-]*):(.*)$/s.exec(text) ?? [];
  return project === undefined || path === undefined ? { path: text } : { project, path };
}

/** The side as scp reads it. A path of this machine is never taken for an option, or for a host. */
export function asScp({ project, path }: CopySide): string {
  if (project !== undefined) return `${hostName(project)}:${path}`;
  return path.startsWith("/") || path.startsWith("./") || path.startsWith("../") ? path : `./${path}`;
}

/**
 * What copies files between this machine and a VM, or between two VMs of a stack.
 *
 * @throws UserError when there is no such VM, or it does not run
 */
export async function copyLine(
  stack: string,
  { from, to, recursive }: Copy,
  folder: string,
  log: (line: string) => void,
): Promise<CommandLine> {
  let config = "";
  for (const name of new Set([from.project, to.project])) {
    if (name !== undefined) config = await currentSshConfig(await findRunningVm(stack, name, folder), log);
  }
  // Two VMs need not reach each other: the way is through this machine.
  const way = from.project !== undefined && to.project !== undefined ? ["-3"] : [];
  return ["scp", "-F", config, ...(recursive ? ["-r"] : []), ...way, "--", asScp(from), asScp(to)];
}
