import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { readPulumiProject } from "./pulumi-files.ts";

/** The stacks that a checkout has files for, in order. */
export function stacksIn(checkout: string): string[] {
  const dir = path.join(checkout, readPulumiProject(checkout).stackConfigDir);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .flatMap((entry) => /^Pulumi\.(.+)\.yaml$/.exec(entry)?.[1] ?? [])
    .sort();
}
