import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Issue } from "../core/errors.ts";
import { refusalIn } from "../core/script-refusal.ts";
import { shellWord } from "../core/shell-word.ts";

const script = fileURLToPath(new URL("../project-disks/mounted.sh", import.meta.url));

/** Seconds for a disk that sleeps to wake up. */
const answerSeconds = 30;

/** Why it is not known what is at one of these places of this machine: it is on a disk that is not mounted now, or that does not answer. */
export function whyAway(...places: string[]): Issue | undefined {
  const limit = { timeout: answerSeconds * 1000, killSignal: "SIGKILL" } as const;
  const { status, stderr, error } = spawnSync("sh", [script, ...places], { encoding: "utf8", ...limit });
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT") return silent(places);
  return status === 0 ? undefined : refusalIn(stderr);
}

const silent = (places: string[]): Issue => ({
  path: places.join(", "),
  rule: `must let itself be looked at within ${answerSeconds} s`,
  remedy: `look at the disks on the way to it: \`ls -ld ${places.map(shellWord).join(" ")}\` is to answer at once`,
});
