import { runEntry } from "../guest/entry.ts";
import { say } from "../host/say.ts";
import { virshFor } from "../host/virsh.ts";
import { type NetworkTeardown, tearDownNetwork } from "./network.ts";

/** Entry of the deletion of a host's `networkTeardown` command. */
await runEntry("PROJECT_VMS_NETWORK", (teardown: NetworkTeardown) =>
  tearDownNetwork(virshFor(teardown.uri), teardown, say),
);
