import { virshFor } from "../host/virsh.ts";
import { runEntry } from "./entry.ts";
import { Guest } from "./guest.ts";
import { isShutOffOnPurpose } from "./power.ts";
import { limits, waitUntilReady } from "./ready.ts";

/** What the `ready` command of a VM is told: which VM on which host. */
export interface ReadyRequest {
  uri: string;
  project: string;
  virtualization: "kvm" | "emulated";
}

/**
 * Entry of the `ready` command of a VM: its stages go to stderr as they pass, what was found to stdout as JSON. A VM that its
 * user has shut off stays so, and is not waited for.
 */
await runEntry("PROJECT_VMS_READY", async ({ uri, project, virtualization }: ReadyRequest) => {
  const virsh = virshFor(uri);
  const guest = new Guest(virsh, project);
  if (await isShutOffOnPurpose(virsh, guest.name)) {
    console.error(`${guest.name}: is shut off, and stays so`);
    console.log("null");
    return;
  }
  console.log(JSON.stringify(await waitUntilReady(guest, limits[virtualization], console.error)));
});
