import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { withLock } from "../core/lock.ts";
import { allPids, textOf } from "../core/proc.ts";
import { shellWord } from "../core/shell-word.ts";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { qemuId } from "./embedded-files.ts";

/** Programs that hold something of all guests of a host: whoever shares their user could read, change and end it. */
const programs = ["dnsmasq", "uplink"] as const;
export type HostProgram = (typeof programs)[number];

/**
 * The user IDs to take, first and last. Debian reserves 65000 to 65533 for itself and systemd gives out none from 65520 on; container
 * images like to run as 65532 and 65533. Should those be used up: beyond 16 bits both leave free what is below subordinate IDs, and
 * what is beyond systemd's containers.
 * https://www.debian.org/doc/debian-policy/ch-opersys.html#uid-and-gid-classes, https://systemd.io/UIDS-GIDS/
 */
const ranges = [
  [65_520, 65_531],
  [65_536, 99_999],
  [2_100_000_000, 2_100_000_099],
] as const;

/** What tells which IDs another user may run containers as: subuid(5). */
const subordinateFiles = ["subuid", "subgid"];

/**
 * Seconds for all questions to `getent`, which may wait for a directory's server that is away; and for the start of another host,
 * which chooses too.
 */
const limits = { ask: 120, lock: 150 };

const isOurs = (id: number) => ranges.some(([first, last]) => id >= first && id <= last);

/** What else tells of this machine's users, and for how long `getent` is asked. */
interface Asked {
  /** The IDs of its processes. */
  idsInUse?: () => Set<number>;
  /** The folder of its files. */
  etc?: string;
  askSeconds?: number;
}

/**
 * The user ID for a program of a host, which does not run: no user, group, process or other program of a host has it. The one that it
 * had before, unless something else has taken that since. Nor is it one that another user may run a container as.
 *
 * @throws UserError where there is none
 */
export async function takeUserId(
  host: Pick<EmbeddedHost, "dir">,
  program: HostProgram,
  { idsInUse = idsOfProcesses, etc = "/etc", askSeconds = limits.ask }: Asked = {},
): Promise<number> {
  const root = path.dirname(host.dir);
  const choose = async () => {
    const taken = new Set([...idsInUse(), ...idsOfOthers(root, fileOf(host.dir, program))]);
    const late = AbortSignal.timeout(askSeconds * 1000);
    const isFree = async (id: number) => !taken.has(id) && !(await isKnown(id, etc, late));
    for (const id of candidates(userIdOf(host, program), subordinateRanges(etc))) {
      if (await isFree(id)) {
        await writeFile(fileOf(host.dir, program), `${id}\n`);
        return id;
      }
      if (late.aborted) throw silent(id, askSeconds);
    }
    throw noneFree(host, program);
  };
  return withLock(path.join(root, "user-ids"), limits.lock, () => {}, choose);
}

interface Subordinate {
  owner: string;
  first: number;
  count: number;
}

/** Those of the root user give it nothing, which is any user at will; its containers may use them all the same. */
const isRoots = ({ owner }: Subordinate) => owner === "root" || owner === "0";

const isIn = (id: number, among: Subordinate[]) => among.some(({ first, count }) => id >= first && id < first + count);

/** IDs to take, the best first; none in another user's ranges, and those in root's last. */
function candidates(last: number | undefined, subordinate: Subordinate[]): number[] {
  const all = ranges.flatMap(([first, end]) => Array.from({ length: end - first + 1 }, (_, i) => first + i));
  const [roots, others] = [subordinate.filter(isRoots), subordinate.filter((range) => !isRoots(range))];
  const ids = [...(last === undefined ? [] : [last]), ...all].filter((id) => !isIn(id, others));
  return [...ids.filter((id) => !isIn(id, roots)), ...ids.filter((id) => isIn(id, roots))];
}

const subordinateRanges = (etc: string) => subordinateFiles.flatMap((name) => rangesIn(path.join(etc, name)));

const rangesIn = (file: string): Subordinate[] =>
  fieldsOf(file)
    .filter(([owner = ""]) => !owner.startsWith("#"))
    .map(([owner = "", first, count]) => ({ owner, first: Number(first), count: Number(count) }));

/**
 * Makes sure that guests run as nobody whom another user may be in a container: the number is fixed, it is Debian's for QEMU.
 *
 * @param etc the folder of this machine's files of users
 * @throws UserError that names all ranges with it
 */
export function requireOwnQemuId(etc = "/etc"): void {
  const issues = subordinateFiles.flatMap((name) => {
    const file = path.join(etc, name);
    const wrong = rangesIn(file).filter((range) => !isRoots(range) && isIn(qemuId, [range]));
    return wrong.map((range) => sharedQemuId(file, `--del-${name}s`, range));
  });
  if (issues.length > 0)
    throw new UserError("The embedded host was not started: another user could be its guests'.", issues);
}

function sharedQemuId(file: string, option: string, { owner, first, count }: Subordinate) {
  const range = `${first}-${first + count - 1}`;
  return {
    path: file,
    rule: `must give the ID ${qemuId}, which guests run as, to no user's containers, but gives ${owner} ${range}`,
    remedy: `give ${owner} other ones, as \`man 5 ${path.basename(file)}\` has them: usermod ${option} ${range} ${shellWord(owner)}; files of containers keep their numbers`,
  };
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

/** Whether a user or a group has the number; what cannot be asked may be so. Asked beside other work: a lock is to be renewed. */
async function isKnown(id: number, etc: string, late: AbortSignal): Promise<boolean> {
  const answers = await Promise.all(["passwd", "group"].map((table) => hasNumber(path.join(etc, table), id, late)));
  return answers.includes(true);
}

/** A machine without `getent` has no users but those in its files, as musl has it. */
async function hasNumber(file: string, id: number, late: AbortSignal): Promise<boolean> {
  const options = { cwd: "/", signal: late, killSignal: "SIGKILL" } as const;
  const code = await new Promise<unknown>((resolve) => {
    execFile("getent", [path.basename(file), String(id)], options, (error) => resolve(error?.code));
  });
  return code === "ENOENT" ? fieldsOf(file).some(([, , number]) => Number(number) === id) : code !== 2;
}

/** The lines of a file like `/etc/passwd`; none where there is no such file. */
function fieldsOf(file: string): string[][] {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  return lines.map((line) => line.split(":"));
}

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
      rule: `must hold a free one of ${ranges.map(([first, last]) => `${first} to ${last}`).join(", ")}, but all are in use, or another user's by /etc/subuid or /etc/subgid, or \`getent\` does not tell`,
      remedy:
        "free one: see what has them with `getent passwd`, `ps -eo uid,pid,comm` and `cat /etc/subuid /etc/subgid`",
    },
  ]);

const silent = (id: number, askSeconds: number) =>
  new UserError("The embedded host needs a user ID that nothing else has.", [
    {
      path: "getent",
      rule: `must tell within ${askSeconds} s whether a user or a group has the number ${id}`,
      remedy: `ask it yourself: \`getent passwd ${id}\`; what it asks in turn is in /etc/nsswitch.conf`,
    },
  ]);
