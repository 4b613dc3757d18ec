import { allPids, linkOf, textOf } from "../core/proc.ts";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { findProcesses } from "../libvirt/embedded-look.ts";

/** A process in a host's PID namespace, where only root puts any. */
export interface InsideProcess {
  /** As this machine numbers it. */
  pid: number;
  /** Its command line. */
  words: string[];
}

/** The processes in a host's PID namespace; none where it does not run. */
export function processesInside(host: EmbeddedHost): InsideProcess[] {
  const inside = pidNamespace(host);
  const wanted = inside && linkOf(inside);
  if (!wanted) return [];
  return allPids()
    .filter((pid) => linkOf(`/proc/${pid}/ns/pid`) === wanted)
    .map((pid) => ({ pid, words: textOf(`/proc/${pid}/cmdline`).split("\0").slice(0, -1) }));
}

/** The path of a host's PID namespace; undefined where it does not run. */
export function pidNamespace(host: EmbeddedHost): string | undefined {
  const own = linkOf("/proc/self/ns/pid");
  return findProcesses(host)
    .map((pid) => `/proc/${pid}/ns/pid`)
    .find((file) => ![undefined, own].includes(linkOf(file)));
}

/** The user that a process runs as; undefined where it ended in between. */
export function userOf({ pid }: InsideProcess): number | undefined {
  const [, user] = /^Uid:\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`)) ?? [];
  return user === undefined ? undefined : Number(user);
}
