import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Inventory } from "../../host/inventory.ts";
import { kvmWorks } from "../../host/kvm.ts";
import { isLocal } from "../../host/virsh.ts";
import { type Examined, failure, ok, warning } from "./finding.ts";

/** Libvirt's helper, by which AppArmor lets each VM at its own disks and no others. */
const appArmorHelper = "/usr/lib/libvirt/virt-aa-helper";

/** What VMs run on, and whether QEMU gets at their disks. Of a host elsewhere, what libvirt tells. */
export async function examineMachine({ uri, virtualization }: Inventory, storageDir: string): Promise<Examined[]> {
  if (!isLocal(uri)) {
    const says = `libvirt there ${virtualization === "kvm" ? "offers it" : "does not offer it: VMs are emulated"}`;
    return [virtualization === "kvm" ? ok("KVM", says) : warning("KVM", says, "load the kernel's kvm modules there")];
  }
  return Promise.all([kvm(), folder(storageDir), appArmor()]);
}

async function kvm(): Promise<Examined> {
  const { works, why } = await kvmWorks();
  if (works) return ok("KVM", "works");
  const remedy =
    "VMs are emulated, slower; on a machine of your own: load kvm_intel or kvm_amd, or turn it on in its firmware";
  return warning("KVM", `does not work here: ${why}`, remedy);
}

/** QEMU runs as a user of its own, who must get through all folders on the way. */
async function folder(storageDir: string): Promise<Examined> {
  const closed: string[] = [];
  for (let at = path.resolve(storageDir); at !== path.dirname(at); at = path.dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found && (found.mode & 0o001) === 0) closed.unshift(at);
  }
  if (closed.length === 0) return ok("storage folder", `QEMU's user gets through to ${storageDir}`);
  const remedy = `chmod o+x ${closed.join(" ")}, or name another \`storageDir\``;
  return warning("storage folder", `QEMU's user may not get through ${closed.join(", ")}`, remedy);
}

async function appArmor(): Promise<Examined> {
  const enabled = await readFile("/sys/module/apparmor/parameters/enabled", "utf8").catch(() => "N");
  if (enabled.trim() !== "Y") return ok("AppArmor", "is not in use here");
  if (await stat(appArmorHelper).catch(() => undefined))
    return ok("AppArmor", "libvirt's helper lets VMs at their disks");
  const says = "is in use, and libvirt's helper for it is not installed: VMs would not get at their disks";
  return failure("AppArmor", says, "apt-get install libvirt-daemon-system");
}
