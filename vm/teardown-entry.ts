import { runEntry } from "../guest/entry.ts";
import { say } from "../host/say.ts";
import { virshFor } from "../host/virsh.ts";
import { apiOfCommand } from "../tailnet/command.ts";
import { isOnRemovedHost, refuseCopiedState } from "./copied-state.ts";
import { type Teardown, tearDown } from "./teardown.ts";

/** Entry of the deletion of a VM's `teardown` command. */
await runEntry("PROJECT_VMS_TEARDOWN", async (teardown: Teardown) => {
  const root = process.cwd();
  if (isOnRemovedHost(teardown, root)) {
    say(`${teardown.project}: went with its host, the embedded host of ${teardown.checkout}`);
    return;
  }
  refuseCopiedState(teardown, root);
  const api = teardown.tailnet ? await apiOfCommand(process.env) : {};
  await tearDown(virshFor(teardown.uri), teardown, api, say);
});
