import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";
import { findProcesses } from "../../../src/libvirt/embedded-look.ts";

/**
 * The process of that name in an embedded host, as this machine numbers it.
 *
 * @throws Error when there is none
 */
export function pidInside(host: EmbeddedHost, name: string): number {
  const inside = readlinkSync(`/proc/${findProcesses(host)[0]}/ns/net`);
  const pid = readdirSync("/proc").find((entry) => {
    try {
      return (
        readFileSync(`/proc/${entry}/comm`, "utf8").trim() === name && readlinkSync(`/proc/${entry}/ns/net`) === inside
      );
    } catch {
      return false;
    }
  });
  if (pid === undefined) throw new Error(`no ${name} runs in the host`);
  return Number(pid);
}
