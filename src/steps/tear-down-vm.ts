import { say } from "../core/say.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { isOnRemovedHost, refuseCopiedState } from "../lifecycle/copied-state.ts";
import { type Teardown, tearDown } from "../lifecycle/teardown.ts";
import { apiOfCommand } from "../tailnet/command.ts";
import { runEntry } from "./run-step.ts";

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
