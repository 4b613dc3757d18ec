import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { firstStack } from "./checkout-folder.ts";
import { stateFolder } from "./checkpoint.ts";
import { stackFileName } from "./pulumi-files.ts";
import { writeNew } from "./stack-file.ts";

/** What the first stack's file says in a new clone. Git keeps this one: in the stack's own the engine notes the salt of a passphrase. */
const exampleFile = (root: string) => path.join(root, "make/Pulumi.local.yaml");

/** Whether the checkout makes the file of a stack by itself. */
export const makesFile = (root: string, stack: string) =>
  stack === firstStack && existsSync(exampleFile(root)) && wasBegun(root, stack) === false;

/**
 * Makes the file of a checkout's first stack, `local`, where there is none and the stack was never begun: the example in the place of
 * a file that was lost would remove the VMs that the file had. Whether it was begun is known of a backend that is a folder alone.
 *
 * @example ensureFirstStackFile("/home/me/vms") // /home/me/vms/Pulumi.local.yaml
 */
export function ensureFirstStackFile(root: string): void {
  if (!makesFile(root, firstStack)) return;
  const file = path.join(root, stackFileName(root, firstStack));
  if (existsSync(file)) return;
  mkdirSync(path.dirname(file), { recursive: true });
  writeNew(file, readFileSync(exampleFile(root), "utf8"), 0o644);
}

/** Whether a stack was ever begun, by its state or by what is left of one; undefined: its backend is no folder that can be read. */
export function wasBegun(root: string, stack: string): boolean | undefined {
  const folders = (["stacks", "backups", "history"] as const).map((kind) => stateFolder(root, kind));
  const isIts = (name: string) => name === stack || name.startsWith(`${stack}.json`);
  try {
    return folders.includes(undefined)
      ? undefined
      : folders.some((folder = "") => existsSync(folder) && readdirSync(folder).some(isIts));
  } catch {
    return undefined;
  }
}
