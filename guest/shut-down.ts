import { domainName, poolName } from "../config/names.ts";
import { virshFor } from "../host/virsh.ts";
import { type DomainEnvironment, runEntry } from "./entry.ts";
import { shutDown } from "./power.ts";

/** Entry of the deletion of a VM's `ready` command: the guest goes down in order before its domain is undefined. */
async function main({ uri, project }: DomainEnvironment): Promise<void> {
  const virsh = virshFor(uri);
  await shutDown(virsh, domainName(project), console.error);
  // The console's log is the VM's, not the project's; QEMU made it, so that no volume resource owns it.
  await virsh.run("pool-refresh", poolName(project)).catch(() => undefined);
  await virsh.run("vol-delete", "console.log", "--pool", poolName(project)).catch(() => undefined);
}

await runEntry(main);
