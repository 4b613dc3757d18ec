import path from "node:path";
import { shellWord } from "../../core/shell-word.ts";
import { guardFolders, passagesOf, qemuId } from "../../embedded-host/embedded-files.ts";
import { describeLost, type LostHost, lostRemedy } from "../../embedded-host/lost-hosts.ts";
import type { Inventory } from "../../libvirt/inventory.ts";
import { kvmWorks } from "../../libvirt/kvm.ts";
import type { Shell } from "../../libvirt/shell.ts";
import { changeableSteps, lookAtStorage } from "../../libvirt/storage-look.ts";
import { isLocal } from "../../libvirt/virsh.ts";
import { runScript } from "../../project-disks/host-script.ts";
import { type Examined, failure, looked, ok, warning } from "./finding.ts";

/** Libvirt's helper, by which AppArmor lets each VM at its own disks and no others. */
const appArmorHelper = "/usr/lib/libvirt/virt-aa-helper";

/** Rights, group and owner of each folder that is there. */
const foldersScript = 'for folder; do [ ! -e "$folder" ] || stat -L -c "%a %g %U %n" "$folder"; done';

const appArmorScript =
  'grep -qsx Y /sys/module/apparmor/parameters/enabled || exit 0; [ -e "$1" ] && echo on || echo helpless';

/** What VMs run on, and whether QEMU gets at their disks. Whether KVM works can be tried out on this machine only. */
export async function examineMachine(
  { uri, virtualization }: Pick<Inventory, "uri" | "virtualization">,
  storageDir: string,
  shell: Shell,
): Promise<Examined[]> {
  return Promise.all([
    isLocal(uri) ? kvm() : kvmThere(virtualization),
    looked("storage folder", () => folder(storageDir, shell)),
    looked("AppArmor", () => appArmor(shell)),
  ]);
}

/** Hosts of checkouts that were moved or deleted: what runs on them nobody else would stop. Pure. */
export function examineLostHosts(lost: LostHost[]): Examined[] {
  return lost.map((host) => warning("embedded hosts", describeLost(host), lostRemedy(host)));
}

async function kvm(): Promise<Examined> {
  const { works, why } = await kvmWorks();
  if (works) return ok("KVM", "works");
  const remedy =
    "VMs are emulated, slower; on a machine of your own: load kvm_intel or kvm_amd, or turn it on in its firmware";
  return warning("KVM", `does not work here: ${why}`, remedy);
}

function kvmThere(virtualization: Inventory["virtualization"]): Examined {
  if (virtualization === "kvm") return ok("KVM", "libvirt there offers it");
  const says = "libvirt there does not offer it: VMs are emulated";
  return warning("KVM", says, "load the kernel's kvm modules there");
}

/** QEMU runs as a user of its own, who must get through all folders on the way; nobody else may change what is in them. */
async function folder(storageDir: string, shell: Shell): Promise<Examined> {
  await runScript(shell, "mounted.sh", [storageDir], "The folder for VMs is not known.");
  const changeable = changeableSteps(await lookAtStorage(shell, storageDir, []));
  if (changeable.length > 0) {
    const says = `other users there can put other disks in place of these: ${changeable.map(({ path, why }) => `${path} ${why}`).join(", ")}`;
    return failure("storage folder", says, changeable.map(({ remedy }) => remedy).join("; "));
  }
  const embedded = embeddedDir(storageDir, shell);
  const folders = [...pathTo(storageDir), ...(embedded ? passagesOf(embedded) : [])];
  const rows = await shell.run(["sh", "-c", foldersScript, "sh", ...new Set(folders)]);
  const found = [...rows.matchAll(/^(\d+) (\d+) (\S+) (.*)$/gm)].map(([, mode = "", group, owner = "", name = ""]) => {
    const rights = Number.parseInt(mode, 8);
    // An embedded host's folders are its group's.
    return { isOpen: (rights & (Number(group) === qemuId ? 0o010 : 0o001)) !== 0, mode, owner, name };
  });
  const closed = found.filter(({ isOpen }) => !isOpen).map(({ name }) => name);
  if (closed.length > 0) {
    const remedy = `chmod o+x ${closed.map(shellWord).join(" ")}, or name another \`storageDir\``;
    const mend = opening(closed, storageDir, shell, embedded);
    return warning("storage folder", `QEMU's user may not get through ${closed.join(", ")}`, remedy, mend);
  }
  const own = found.find(({ name }) => name === storageDir);
  const whose = own ? `is ${own.owner}'s (${own.mode})` : "is not there yet";
  return ok("storage folder", `${storageDir} ${whose}, and QEMU's user gets through to it`);
}

/** The folder of the embedded host that a folder for VMs is of. */
function embeddedDir(storageDir: string, shell: Shell): string | undefined {
  const dir = path.dirname(storageDir);
  return shell.uri.endsWith(`?socket=${dir}/run/libvirt/libvirt-sock`) ? dir : undefined;
}

/** What opens closed folders if all are this product's own; another, such as a home, may be closed on purpose. */
function opening(
  closed: string[],
  storageDir: string,
  shell: Shell,
  embedded: string | undefined,
): (() => Promise<void>) | undefined {
  const own = embedded === undefined ? [storageDir] : [storageDir, embedded, ...passagesOf(embedded)];
  if (!closed.every((folder) => own.includes(folder))) return undefined;
  if (embedded !== undefined) return () => guardFolders({ dir: embedded, storageDir });
  return async () => void (await shell.run(["chmod", "go+x", "--", storageDir]));
}

/** A folder and all above it. @example pathTo("/a/b") // ["/a/b", "/a", "/"] */
function pathTo(folder: string): string[] {
  const above = path.posix.dirname(folder);
  return above === folder ? [folder] : [folder, ...pathTo(above)];
}

async function appArmor(shell: Shell): Promise<Examined> {
  const found = (await shell.run(["sh", "-c", appArmorScript, "sh", appArmorHelper])).trim();
  if (found === "") return ok("AppArmor", "is not in use there");
  if (found === "on") return ok("AppArmor", "libvirt's helper lets VMs at their disks");
  const says = "is in use, and libvirt's helper for it is not installed: VMs would not get at their disks";
  return failure("AppArmor", says, "apt-get install libvirt-daemon-system");
}
