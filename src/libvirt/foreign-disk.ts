import type { Issue } from "../core/errors.ts";
import type { VolumeFound } from "./inventory.ts";

/** What is to be done with a project disk that leads to other files: to flatten it is to give its guest what they hold. */
export const notOurs = "move that file away (nothing of ours made it), or choose another name for the project";

/** Why a volume is no project disk; its path is the file's on the host. */
export function foreignDisk({ path, format, backingPath }: VolumeFound): Issue[] {
  if (format !== "qcow2") {
    const rule = `its project disk ${path} must be a qcow2 image, but is ${format || "something unknown"}`;
    return [{ path, rule, remedy: notOurs }];
  }
  if (!backingPath) return [];
  const rule = `its project disk ${path} must stand alone, but has the backing file ${backingPath}`;
  return [{ path, rule, remedy: notOurs }];
}
