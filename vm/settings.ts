import { domainName } from "../config/names.ts";
import type { Virsh } from "../host/virsh.ts";
import { growDisks, type Log } from "./grow.ts";
import { markKeepData, marksOf } from "./marks.ts";

/** What of a VM changes while it runs, without defining it anew. Sizes in bytes. */
export interface InPlaceSettings {
  disk: number;
  rootDisk: number;
  autostart: boolean;
  keepData: boolean;
}

/**
 * Brings a VM that is there to its settings, running or off, without a restart. Can be cut off and done again.
 *
 * @param changed whether they were others before, in which case an earlier attempt may have been cut off half-way
 */
export async function applyInPlace(
  virsh: Virsh,
  project: string,
  { disk, rootDisk, autostart, keepData }: InPlaceSettings,
  log: Log,
  changed: boolean,
): Promise<void> {
  const domain = domainName(project);
  const marks = await marksOf(virsh, domain);
  if ((marks.keepData ?? true) !== keepData) await markKeepData(virsh, domain, keepData);
  const autostarts = (await virsh.run("list", "--all", "--autostart", "--name")).split("\n").includes(domain);
  if (autostarts !== autostart) await virsh.run("autostart", domain, ...(autostart ? [] : ["--disable"]));
  await growDisks(virsh, project, { project: disk, root: rootDisk }, log, changed);
}
