import type { Firmware } from "../config/settings.ts";

/** What virsh prints for people, as far as the inventory needs it. */

/** The names in what `virsh -q nwfilter-list` prints: ` <uuid>   <name>`. */
export function parseFilterNames(output: string): string[] {
  return [...output.matchAll(/^\s*[0-9a-f-]{36}\s+(.*\S)\s*$/gm)].map(([, name = ""]) => name);
}

/** Bytes, from what `virsh nodeinfo` prints. */
export function parseMemory(nodeinfo: string): number {
  return Number(/^Memory size:\s*(\d+) KiB/m.exec(nodeinfo)?.[1]) * 1024;
}

/** From what `virsh domcapabilities` prints: libvirt chooses UEFI firmware by itself where it says that it can. */
export function firmwaresIn(capabilities: string): Firmware[] {
  const choices = /<enum name='firmware'>(.*?)<\/enum>/s.exec(capabilities)?.[1] ?? "";
  return choices.includes("<value>efi</value>") ? ["bios", "uefi"] : ["bios"];
}

/** @example parseHypervisorVersion(await virsh.run("version")) === "QEMU 7.2.22" */
export function parseHypervisorVersion(version: string): string {
  return /^Running hypervisor: (.*)$/m.exec(version)?.[1]?.trim() ?? "unknown";
}
