import { readFileSync, statfsSync, statSync } from "node:fs";
import path from "node:path";
import { allPids, linkOf } from "../core/proc.ts";
import type { EmbeddedHost } from "./embedded-layout.ts";

/** What of a host its processes are told by. */
type HostPlace = Pick<EmbeddedHost, "dir" | "netns">;

/** What tells a host's process from any other; undefined is what this user cannot read. */
export interface ProcessLook {
  pid: number;
  /** Its PID in each of its PID namespaces, this machine's first. */
  pids: number[];
  /** The process that started it, if its words may be a host's as well. */
  parent: ProcessLook | undefined;
  /** Its command line. */
  words: string[];
  /** Its real, effective, saved and filesystem user. */
  users: number[];
  /** Whether it may make namespaces (CAP_SYS_ADMIN): root of a container may not, by Docker's default. */
  isAdmin: boolean;
  executable: string | undefined;
  /** The inode of its network namespace. */
  netns: number | undefined;
}

/** The name of the script that a host's first process runs. */
export const insideName = "embedded-inside.sh";

/** The host's network namespace is pinned by a file: statfs(2) names the filesystem of such files. */
const nsfsMagic = 0x6e736673;

const capSysAdmin = 1n << 21n;

/**
 * Whether a process is a host's `unshare` or its first process. Its command line alone tells nothing: any user can start a process
 * with any words in it, so it must be root's in all its users (a setuid program takes words from anybody), what it says it is, and in
 * the host's network namespace. That both are, `unshare` too. Where that namespace is not known, root of a container could be as much:
 * then `unshare` must be in this machine's own PID namespace, and may make others, and the first process must be its child.
 *
 * @param netns the host's network namespace; undefined where it is not known: the host is just being started, its mount was taken
 * away, or belongs to another mount namespace
 */
export function isHostProcess(host: HostPlace, look: ProcessLook, netns: number | undefined): boolean {
  if (look.users.length === 0 || look.users.some((user) => user !== 0)) return false;
  const role = roleIn(look.words, host);
  if (role === undefined) return false;
  const isKnown = netns !== undefined && look.netns !== undefined;
  if (isKnown && look.netns !== netns) return false;
  if (role === "inside") {
    if (look.pids.at(-1) !== 1) return false;
    return isKnown || (look.parent !== undefined && isHostProcess(host, look.parent, netns));
  }
  const isUnshare = look.executable === undefined || path.basename(look.executable) === "unshare";
  return isUnshare && (isKnown || (look.pids.length === 1 && look.isAdmin));
}

/** By the words that `launch` starts them with; the script may be another checkout's, or an earlier version's. */
function roleIn(words: string[], { dir, netns }: HostPlace): "unshare" | "inside" | undefined {
  const [shell, script = "", ofDir, mode = ""] = words.slice(-4);
  const isInside =
    shell === "sh" && path.basename(script) === insideName && ofDir === dir && /^(kvm|emulated)$/.test(mode);
  if (!isInside) return undefined;
  if (words.length === 4) return "inside";
  return words[0] === "unshare" && words.includes(`--net=${netns}`) ? "unshare" : undefined;
}

/** The PIDs of a host's `unshare` and of its first process. No file tells them: one can lie after a crash. */
export function findProcesses(host: HostPlace): number[] {
  const netns = hostNetns(host);
  return allPids()
    .flatMap((pid) => lookAt(pid) ?? [])
    .filter((look) => isHostProcess(host, look, netns))
    .map(({ pid }) => pid);
}

/** A QEMU that libvirt started. */
export interface GuestProcess {
  /** The domain that libvirt started it for. */
  domain: string;
  pid: number;
}

/**
 * The guests in a host that runs: each is a QEMU, by the argument that libvirt gives it (as embedded-inside.sh looks), in the host's PID
 * namespace, which no process gets into from outside but root's, or where that cannot be seen. Needs no libvirtd.
 */
export function guestProcesses(host: HostPlace): GuestProcess[] {
  // Of the host's `unshare` that is the namespace which it made, not the one that it is in.
  const own = findProcesses(host).map((pid) => linkOf(`/proc/${pid}/ns/pid_for_children`));
  if (own.length === 0) return [];
  const guests = allPids().flatMap((pid) => {
    const word = wordsOf(pid).find((one) => one.startsWith("guest="));
    return word === undefined ? [] : [{ domain: domainIn(word), pid }];
  });
  return guests.filter(({ pid }) => {
    const namespace = linkOf(`/proc/${pid}/ns/pid`);
    return namespace === undefined || own.includes(undefined) || own.includes(namespace);
  });
}

/** QEMU ends an option at a comma; one in a name is written twice. */
const domainIn = (word: string) => word.replace(/^guest=((?:[^,]|,,)*).*$/s, "$1").replaceAll(",,", ",");

/** Whether a guest may run in a host that runs. */
export const mayHaveGuest = (host: HostPlace) => guestProcesses(host).length > 0;

/** Its command line; none of a process that ended in between. */
function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** The inode of the host's network namespace, if its file is one. */
function hostNetns({ netns }: HostPlace): number | undefined {
  try {
    return statfsSync(netns).type === nsfsMagic ? statSync(netns).ino : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined for a process that ended in between. */
function lookAt(pid: number): ProcessLook | undefined {
  try {
    const words = wordsOf(pid);
    // Nearly all processes are none of ours; the rest is read of those that may be.
    if (!words.some((word) => path.basename(word) === insideName)) return undefined;
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const [parent = 0] = numbersOf(status, "PPid");
    return {
      pid,
      pids: numbersOf(status, "NSpid"),
      parent: lookAt(parent),
      words,
      users: numbersOf(status, "Uid"),
      isAdmin: (BigInt(`0x${fieldOf(status, "CapEff")}`) & capSysAdmin) !== 0n,
      executable: linkOf(`/proc/${pid}/exe`)?.replace(/ \(deleted\)$/, ""),
      netns: inodeIn(linkOf(`/proc/${pid}/ns/net`)),
    };
  } catch {
    return undefined;
  }
}

const fieldOf = (status: string, field: string) => new RegExp(`^${field}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";

const numbersOf = (status: string, field: string) => fieldOf(status, field).split(/\s+/).filter(Boolean).map(Number);

/** @example inodeIn("net:[4026532180]") // 4026532180 */
const inodeIn = (link = "") => (/^net:\[\d+\]$/.test(link) ? Number(link.slice(5, -1)) : undefined);
