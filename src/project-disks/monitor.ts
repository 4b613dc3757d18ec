import { UserError } from "../core/errors.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import type { ProjectDisk } from "./project-disk.ts";

/**
 * QEMU's own protocol, through libvirt, for what libvirt has no command for.
 * https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html
 */

interface BlockDevice {
  inserted?: { "node-name": string; file: string };
}

/** What QEMU says of a device that a job, such as a backup, has put something of its own on top of. */
const busy = /Need a root block node|is busy|is in use|blocked/i;

/** A request as QEMU reads it. */
export function monitorRequest(execute: string, args?: object): string {
  return JSON.stringify({ execute, ...(args ? { arguments: args } : {}) });
}

/**
 * Reads QEMU's answer to a request about a project's disk.
 *
 * @throws UserError when something else is going on there, or with QEMU's reason, such as a full disk
 */
export function monitorAnswer<Answer>(disk: ProjectDisk, json: string): Answer {
  const { return: answer, error } = JSON.parse(json) as { return?: Answer; error?: { desc: string } };
  if (!error) return answer as Answer;
  if (!busy.test(error.desc)) throw new UserError(`QEMU refused, for ${disk.domain}: ${error.desc}`);
  throw new UserError("The project disk is in use.", [
    {
      path: disk.file,
      rule: `must not be worked on by something else meanwhile, such as a backup (${error.desc})`,
      remedy: "wait until that has ended, and try again",
    },
  ]);
}

/**
 * What QEMU calls a project's disk.
 *
 * @throws UserError when the VM runs without it
 */
export async function diskNode(virsh: Virsh, disk: ProjectDisk): Promise<string> {
  const json = await virsh.run("qemu-monitor-command", disk.domain, monitorRequest("query-block"));
  const devices = monitorAnswer<BlockDevice[]>(disk, json);
  const node = devices.find(({ inserted }) => inserted?.file === disk.file)?.inserted?.["node-name"];
  if (node !== undefined) return node;
  throw new UserError("The VM runs without its project disk.", [
    { path: disk.domain, rule: `must use ${disk.file}`, remedy: "shut it down, and try again" },
  ]);
}
