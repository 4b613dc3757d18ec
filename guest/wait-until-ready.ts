import { virshFor } from "../host/virsh.ts";
import { type DomainEnvironment, runEntry } from "./entry.ts";
import { Guest } from "./guest.ts";
import { limits, waitUntilReady } from "./ready.ts";

/** Entry of the `ready` command of a VM: its stages go to stderr as they pass, what was found to stdout as JSON. */
async function main({ uri, project, virtualization }: DomainEnvironment): Promise<void> {
  const readiness = await waitUntilReady(new Guest(virshFor(uri), project), limits[virtualization], console.error);
  console.log(JSON.stringify(readiness));
}

await runEntry(main);
