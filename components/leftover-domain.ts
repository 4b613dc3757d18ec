import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../config/errors.ts";
import { ownerMark } from "../config/names.ts";
import { shutDown } from "../guest/power.ts";
import { type Virsh, virshFor } from "../host/virsh.ts";

/**
 * Before a domain is made: one of that name and this owner may be on the host already without being in the state,
 * because an update was cut off or the state was lost. It is shut down and undefined, which costs no data, so that
 * the domain can be made anew on the same disks.
 *
 * @throws UserError from the hook when the domain belongs to somebody else
 */
export function leftoverDomainHook(hostName: string, uri: string, owner: string): pulumi.ResourceHook {
  return new pulumi.ResourceHook(`${hostName}-remove-leftover-domain`, async ({ newInputs }) => {
    const domain = String(newInputs?.name);
    const virsh = virshFor(uri);
    const all = await virsh.run("list", "--all", "--name");
    if (all.split("\n").includes(domain)) await removeLeftover(virsh, domain, owner);
  });
}

async function removeLeftover(virsh: Virsh, domain: string, owner: string): Promise<void> {
  const description = (await virsh.run("desc", domain)).trim();
  if (description !== ownerMark(owner)) {
    throw new UserError(`The domain ${domain} on this host belongs to somebody else.`, [
      {
        path: domain,
        rule: `a domain that is taken up must be marked "${ownerMark(owner)}"`,
        value: description,
        remedy: "rename the project, or remove that domain by hand if it is not needed",
      },
    ]);
  }
  const log = (line: string) => pulumi.log.info(`${line} (left over from an update that did not finish)`);
  await shutDown(virsh, domain, log);
  await virsh.run("undefine", domain, "--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram");
}
