import { UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { domainName, poolName } from "../core/names.ts";
import { formatSize } from "../core/sizes.ts";
import { isPausedByFullHost } from "../guest/power.ts";
import { parsePool } from "../libvirt/libvirt-xml.ts";
import { refreshPool } from "../libvirt/pool-volumes.ts";
import type { Virsh } from "../libvirt/virsh.ts";

/** Has a guest go on that was paused because its host was full; if there still is no room, it is paused again at its next write. */
export async function resumeAfterFullHost(virsh: Virsh, project: string, log: Log): Promise<void> {
  if (!(await isPausedByFullHost(virsh, domainName(project)))) return;
  await virsh.run("resume", domainName(project));
  log(`${domainName(project)}: was paused because its host's disk was full, and resumes`);
}

/** What to do about such a guest. */
export async function hostFull(virsh: Virsh, project: string): Promise<UserError> {
  await refreshPool(virsh, poolName(project));
  const { path, available } = parsePool(await virsh.run("pool-dumpxml", poolName(project)));
  return new UserError(`${domainName(project)} is paused: its host has no room for what it writes. Nothing is lost.`, [
    {
      path,
      rule: `must have room for what is written on the VM's disks, but has ${formatSize(available)}`,
      remedy: "free space there, then run `pulumi up` again: the VM goes on where it stopped",
    },
  ]);
}
