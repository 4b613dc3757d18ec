import { say } from "../core/say.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { type NetworkTeardown, tearDownNetwork } from "../lifecycle/network.ts";
import { runEntry } from "./run-step.ts";

/** Entry of the deletion of a host's `networkTeardown` command. */
await runEntry("PROJECT_VMS_NETWORK", (teardown: NetworkTeardown) =>
  tearDownNetwork(virshFor(teardown.uri), teardown, say),
);
