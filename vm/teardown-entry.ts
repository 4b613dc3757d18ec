import { runEntry } from "../guest/entry.ts";
import { say } from "../host/say.ts";
import { virshFor } from "../host/virsh.ts";
import { apiOfCommand } from "../tailnet/command.ts";
import { type Teardown, tearDown } from "./teardown.ts";

/** Entry of the deletion of a VM's `teardown` command. */
await runEntry("PROJECT_VMS_TEARDOWN", async (teardown: Teardown) => {
  const api = teardown.tailnet ? await apiOfCommand(process.env) : {};
  await tearDown(virshFor(teardown.uri), teardown, api, say);
});
