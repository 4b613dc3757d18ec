import { counted } from "../../core/counted.ts";
import { shellWord } from "../../core/shell-word.ts";
import { closeStorage, openStorage, qemuOwnsDisks } from "../../libvirt/closed-storage.ts";
import type { Inventory } from "../../libvirt/inventory.ts";
import type { Shell } from "../../libvirt/shell.ts";
import { type Examined, failure, looked, ok } from "./finding.ts";

const check = "disk files";

/** How many paths are named; the rest is counted. */
const named = 3;

/** Whether other users of a host may read what is on the VMs' disks: host keys, log-ins, all of a project's work. */
export function examineStorage(inventory: Inventory, storageDir: string, shell: Shell): Promise<Examined[]> {
  return looked(check, () => look(inventory, storageDir, shell)).then((found) => [found]);
}

async function look(inventory: Inventory, storageDir: string, shell: Shell): Promise<Examined> {
  const { files, folders, changeable } = await openStorage(shell, storageDir, inventory);
  if (files.length + folders.length + changeable.length === 0)
    return ok(check, `nobody but root and QEMU reads what is in ${storageDir}`);
  const says = [
    ...(changeable.length > 0
      ? [`other users there can put other files in place of those in ${some(changeable)}`]
      : []),
    ...(files.length > 0 ? [`any user there may read or change ${counted(files.length, "file")}: ${some(files)}`] : []),
    ...(folders.length > 0 ? [`any user there may list ${some(folders)}`] : []),
  ].join("; ");
  // What is in there may be another's by now.
  if (changeable.length > 0) {
    const folders = changeable.map(shellWord).join(" ");
    const remedy = `look at what is in it, then: chown root ${folders}; chmod go-w ${folders}; then: project-vm doctor --fix`;
    return failure(check, says, remedy);
  }
  if (!(await qemuOwnsDisks(shell))) {
    const remedy =
      "set dynamic_ownership = 1 in /etc/libvirt/qemu.conf there, restart libvirt, then: project-vm doctor --fix";
    return failure(check, `${says}; libvirt does not make QEMU their owner`, remedy);
  }
  const chmods = [...command("go-rwx", files), ...command("go-rw", folders)];
  return failure(check, says, chmods.join("; "), async () => void (await closeStorage(shell, storageDir, inventory)));
}

const some = (paths: string[]) =>
  paths.length > named ? `${paths.slice(0, named).join(", ")} and ${paths.length - named} more` : paths.join(", ");

const command = (rights: string, paths: string[]) =>
  paths.length > 0 ? [`chmod ${rights} ${paths.map(shellWord).join(" ")}`] : [];
