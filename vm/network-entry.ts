import { runEntry } from "../guest/entry.ts";
import { virshFor } from "../host/virsh.ts";
import { type NetworkTeardown, removeNetwork } from "./network.ts";

/** Entry of the deletion of a host's `networkTeardown` command. */
await runEntry("PROJECT_VMS_NETWORK", ({ uri, name, owner }: NetworkTeardown) =>
  removeNetwork(virshFor(uri), name, owner),
);
