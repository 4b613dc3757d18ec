import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../config/errors.ts";
import type { EmbeddedHost } from "./embedded-layout.ts";
import { withLock } from "./lock.ts";
import { allPids, textOf } from "./proc.ts";

/** Programs that hold something of all guests of a host: whoever shares their user could read, change and end it. */
const programs = ["dnsmasq", "uplink"] as const;
export type HostProgram = (typeof programs)[number];

/**
 * The user IDs to take, first and last. Debian reserves 65000 to 65533 for itself and systemd gives out none from 65520 on; container
 * images like to run as 65532 and 65533. Should those be used up: beyond 16 bits both leave free what is below subordinate IDs.
 * https://www.debian.org/doc/debian-policy/ch-opersys.html#uid-and-gid-classes, https://systemd.io/UIDS-GIDS/
 */
const ranges = [
  [65_520, 65_531],
  [65_536, 99_999],
] as const;

/** Seconds to wait for the start of another host, which chooses too. */
const lockSeconds = 30;

const isOurs = (id: number) => ranges.some(([first, last]) => id >= first && id <= last);

/**
 * The user ID for a program of a host, which does not run: no user, group, process or other program of a host has it. The one that it
 * had before, unless something else has taken that since.
 *
 * @param idsInUse those of this machine's processes
 */
export async function takeUserId(
  host: Pick<EmbeddedHost, "dir">,
  program: HostProgram,
  idsInUse: () => Set<number> = idsOfProcesses,
): Promise<number> {
  const root = path.dirname(host.dir);
  const choose = async () => {
    const taken = new Set([...idsInUse(), ...idsOfOthers(root, fileOf(host.dir, program))]);
    const isFree = (id: number) => !taken.has(id) && !isKnown(id);
    const last = userIdOf(host, program);
    if (last !== undefined && isFree(last)) return last;
    for (const [first, end] of ranges) {
      for (let id = first; id <= end; id++) {
        if (!isFree(id)) continue;
        await writeFile(fileOf(host.dir, program), `${id}\n`);
        return id;
      }
    }
    throw noneFree(host, program);
  };
  return withLock(path.join(root, "user-ids"), lockSeconds, () => {}, choose);
}

/** The user ID that was taken for a program of a host; undefined: none yet. */
export const userIdOf = ({ dir }: Pick<EmbeddedHost, "dir">, program: HostProgram) => idIn(fileOf(dir, program));

/** Also read by embedded-inside.sh. */
const fileOf = (dir: string, program: HostProgram) => path.join(dir, `${program}-user`);

function idIn(file: string): number | undefined {
  try {
    const id = Number(readFileSync(file, "utf8"));
    return isOurs(id) ? id : undefined;
  } catch {
    return undefined; // there is none yet
  }
}

/** Of hosts that do not run, too: they keep theirs. */
function idsOfOthers(root: string, own: string): number[] {
  const files = readdirSync(root).flatMap((name) => programs.map((program) => fileOf(path.join(root, name), program)));
  return files.filter((file) => file !== own).flatMap((file) => idIn(file) ?? []);
}

/** Whether a user or a group has the number; what cannot be asked may be so. */
const isKnown = (id: number) =>
  ["passwd", "group"].some((table) => spawnSync("getent", [table, String(id)], { stdio: "ignore" }).status !== 2);

/** The users and groups of all processes, containers' too, as this machine numbers them. */
function idsOfProcesses(): Set<number> {
  return new Set(allPids().flatMap((pid) => idsIn(textOf(`/proc/${pid}/status`))));
}

/** The real, effective, saved and filesystem ones in a text like `/proc/<pid>/status`. */
const idsIn = (status: string) =>
  [...status.matchAll(/^[UG]id:\s+(.*)$/gm)].flatMap(([, ids = ""]) => ids.trim().split(/\s+/).map(Number));

const noneFree = (host: Pick<EmbeddedHost, "dir">, program: HostProgram) =>
  new UserError("The embedded host needs a user ID that nothing else has.", [
    {
      path: fileOf(host.dir, program),
      rule: `must hold a free one of ${ranges.map(([first, last]) => `${first} to ${last}`).join(", ")}, but all are in use, or \`getent\` does not tell`,
      remedy: "free one: see what has them with `getent passwd` and `ps -eo uid,pid,comm`",
    },
  ]);
