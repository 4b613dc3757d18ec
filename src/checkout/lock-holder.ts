import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { textOf } from "../core/proc.ts";

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
  where === hostname() && pid > 0 && isAlive(pid) && mayBeEngine(pid) && !isOfAnotherUser(pid, username);

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
 * Flatpak) or a container numbers its processes itself: from outside those numbers can be seen, from inside nothing of what is outside.
 */
function mayBeUnseen({ pid, hostname: where }: LockHolder): boolean {
  if (where !== hostname()) return true;
  if (pid === 0) return false;
  try {
    if (readlinkSync("/proc/self/ns/pid") !== machines.pid && !hasOwnName()) return true;
    return readdirSync("/proc").some((name) => innerNumber(name) === pid && mayBeEngine(Number(name)));
  } catch {
    return false; // no Linux: it has no such namespaces
  }
}

/**
 * Whether the name of a container is no other's, and so tells its processes from those outside: one that docker and podman made up, by
 * the container's ID, or a system's (LXC, systemd-nspawn), which begins with an init. Others may have the machine's name, as by
 * `docker run --network host`, or one that their user gave to several.
 */
function hasOwnName(): boolean {
  if (readlinkSync("/proc/self/ns/uts") === machines.uts) return false;
  return /^[0-9a-f]{12}$/.test(hostname()) || /^(systemd|init)$/.test(textOf("/proc/1/comm").trim());
}

/** The number that a process has in a namespace of its own, the innermost one. Its users may have other names there than here. */
function innerNumber(pid: string): number | undefined {
  if (!/^\d+$/.test(pid)) return undefined;
  try {
    const [, inner] = /^NSpid:\t\d+\t(?:.*\t)?(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(inner);
  } catch {
    return undefined; // it has ended
  }
}

/**
 * Whether a process may be an engine at work: it is of that name, and no zombie, which in a container may stay for ever. After a power cut
 * the number may be anybody's.
 */
function mayBeEngine(pid: number): boolean {
  try {
    const [, name = "", state] = /^\d+ \((.*)\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return name.includes("pulumi") && state !== "Z";
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
  const [own, its] = ["self", pid].map((of) => textOf(`/proc/${of}/uid_map`));
  if (own !== its) return false;
  const [, user = ""] = /^Uid:\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`)) ?? [];
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const ids = users.filter(([name]) => name === username).map(([, , id]) => id);
  return ids.length > 0 && !ids.includes(user) && users.some(([, , id]) => id === user);
}
