import { factOf } from "../../core/errors.ts";
import { namePrefix } from "../../core/names.ts";
import { domainWithoutBalloon } from "../../libvirt/edited-xml.ts";
import type { Inventory } from "../../libvirt/inventory.ts";
import { unknownGuestIssue, unknownGuests } from "../../libvirt/unknown-guests.ts";
import type { Virsh } from "../../libvirt/virsh.ts";
import { withXmlFile } from "../../libvirt/xml-file.ts";
import { isOwnedBy } from "../../lifecycle/leftovers.ts";
import { type Examined, failure, warning } from "./finding.ts";

/** VMs of a stack with the memory balloon that libvirt gave the definitions of earlier versions, now or from their next start on. */
export function examineBalloons(stack: string, { domains }: Pick<Inventory, "domains">, virsh: Virsh): Examined[] {
  const ours = domains.filter((domain) => domain.name.startsWith(namePrefix) && isOwnedBy(domain, stack));
  return ours.flatMap(({ name, state, devices = [] }) => {
    if (devices.every(({ balloon }) => balloon === undefined)) return [];
    const says = `${name} has a memory balloon: by a number that its guest writes there, libvirt can take it for shut off while it runs`;
    const restart = `project-vm restart ${name.slice(namePrefix.length)} --stack ${stack}`;
    if (devices.at(-1)?.balloon === undefined) return [warning("VMs", `${says}; it is gone after a restart`, restart)];
    const then = state === "shut off" ? "" : `, then ${restart}`;
    const remedy = `project-vm doctor --fix${then}; ${ofTransform}`;
    return [warning("VMs", says, remedy, () => defineWithoutBalloon(virsh, name))];
  });
}

/** Whose it is, a definition does not tell. */
const ofTransform =
  "that takes one of a transform's own away too, which comes back with the VM's next redefinition: take <memballoon> out of the transform's stylesheet, or write <memballoon model=\"none\"/> there";

/** A guest that runs keeps its own until it restarts. */
async function defineWithoutBalloon(virsh: Virsh, domain: string): Promise<void> {
  const xml = domainWithoutBalloon(await virsh.run("dumpxml", domain, "--inactive", "--security-info"));
  await withXmlFile(xml, (file) => virsh.run("define", file));
}

/** Guests that run unknown to their libvirt, whatever stack's they are: nothing is done to a VM as long as one of it does. */
export async function examineUnknownGuests(virsh: Virsh): Promise<Examined[]> {
  const issues = (await unknownGuests(virsh)).map(unknownGuestIssue);
  return issues.map((issue) => failure("VMs", factOf(issue), issue.remedy));
}
