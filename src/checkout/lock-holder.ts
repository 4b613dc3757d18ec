import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Who took a lock of a stack. */
export interface LockHolder {
  /** Of the engine, in the namespace of processes that it was in; 0: not known, and gone. */
  pid: number;
  hostname: string;
  username: string;
}

/** Who that is, for people. */
export const describeHolder = ({ pid, username, hostname: where }: LockHolder) =>
  `process ${pid} of ${username} on ${where}`;

/** Whether it is seen at work: what is on another machine, or on one that had another name, is not seen from here. */
export const isSeen = ({ pid, hostname: where, username }: LockHolder) =>
  where === hostname() && pid !== 0 && isAlive(pid) && mayBeEngine(pid, username);

/** Whether who took a lock may still be at work. */
export const isHeld = (holder: LockHolder) => isSeen(holder) || mayBeUnseen(holder);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The namespaces that a machine starts with (`PROC_PID_INIT_INO`, `PROC_UTS_INIT_INO` in Linux' proc_ns.h). */
const machines = { pid: "pid:[4026531836]", uts: "uts:[4026531838]" };

/**
 * Whether an engine may be at work on another machine, or on this one under a number that is not its own here. A sandbox (bwrap,
 * Flatpak) numbers its processes itself, under the machine's name: from outside those numbers can be seen, from inside nothing of what
 * is outside. A container with a name of its own is no such sandbox: that name tells its processes from others.
 */
function mayBeUnseen({ pid, hostname: where, username }: LockHolder): boolean {
  if (where !== hostname()) return true;
  if (pid === 0) return false;
  try {
    const isSandbox = readlinkSync("/proc/self/ns/pid") !== machines.pid;
    if (isSandbox && readlinkSync("/proc/self/ns/uts") === machines.uts) return true;
    return readdirSync("/proc").some((name) => innerNumber(name) === pid && mayBeEngine(Number(name), username));
  } catch {
    return false; // no Linux: it has no such namespaces
  }
}

/** The number of a process in the innermost namespace that it is in. */
function innerNumber(pid: string): number | undefined {
  if (!/^\d+$/.test(pid)) return undefined;
  try {
    const [, inner] = /^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(inner);
  } catch {
    return undefined; // it has ended
  }
}

/**
 * Whether a process may be an engine at work: it is of that name, not known to be another user's than the lock's, and no zombie, which
 * in a container may stay for ever. After a power cut the number may be anybody's.
 */
function mayBeEngine(pid: number, username: string): boolean {
  try {
    const [, name = "", state] = /^\d+ \((.*)\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return name.includes("pulumi") && state !== "Z" && !isOfAnotherUser(pid, username);
  } catch {
    return true; // no Linux: nothing is known but its number
  }
}

/**
 * Whether a process is known to be another user's than the one whose name a lock has. Whose the lock's file is tells nothing: on many a
 * filesystem (exFAT, vboxsf, NFS with root_squash) all files are one user's. An engine writes the name that /etc/passwd has for its user,
 * and $USER for one who is not in there; in another user namespace, as root of a rootless container, its numbers mean other users.
 */
function isOfAnotherUser(pid: number, username: string): boolean {
  const [own, its] = ["self", pid].map((of) => readFileSync(`/proc/${of}/uid_map`, "utf8"));
  if (own !== its) return false;
  const [, user = ""] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const ids = users.filter(([name]) => name === username).map(([, , id]) => id);
  return ids.length > 0 && !ids.includes(user) && users.some(([, , id]) => id === user);
}
