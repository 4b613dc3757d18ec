import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Issue } from "../config/errors.ts";
import { refusalIn } from "../data/refusal.ts";

const script = fileURLToPath(new URL("../data/mounted.sh", import.meta.url));

/** Why it is not known what is at one of these places of this machine: it is on a disk that is not mounted now. */
export function whyAway(...places: string[]): Issue | undefined {
  const { status, stderr } = spawnSync("sh", [script, ...places], { encoding: "utf8" });
  return status === 0 ? undefined : refusalIn(stderr);
}
