import { say, sayProgress } from "../core/say.ts";
import { Guest } from "../guest/guest.ts";
import { restingState, startIfOff } from "../guest/power.ts";
import { limits, NotReadyError, waitUntilReady } from "../guest/ready.ts";
import { type TailnetJoin, tailnetVariable } from "../guest/tailnet-join.ts";
import { markStarting, marksOf, markTailnet } from "../libvirt/marks.ts";
import { requireNoRestore } from "../libvirt/restore-mark.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { runEntry } from "./run-step.ts";

/** What the `ready` command of a VM is told: which VM on which host. */
export interface ReadyRequest {
  uri: string;
  project: string;
  virtualization: "kvm" | "emulated";
  /** When it was asked for; only there where nothing else has the command run again. */
  asOf?: string;
}

/**
 * Entry of the `ready` command of a VM: its stages go to stderr as they pass, what was found to stdout as JSON. A VM that its
 * user has shut off stays so, and is not waited for, nor is one that has suspended itself; one that an interrupted update left
 * off is started.
 */
await runEntry("PROJECT_VMS_READY", async ({ uri, project, virtualization }: ReadyRequest) => {
  const virsh = virshFor(uri);
  const tailnet = process.env[tailnetVariable] ? (JSON.parse(process.env[tailnetVariable]) as TailnetJoin) : undefined;
  const guest = new Guest(virsh, project);
  const { starting, tailnet: joined } = await marksOf(virsh, guest.name);
  if (starting) {
    await requireNoRestore(virsh, project);
    await startIfOff(virsh, guest.name);
  } else {
    const state = await restingState(virsh, guest.name);
    if (state === "shut off") say(`${guest.name}: is shut off, and stays so`);
    if (state === "suspended")
      say(`${guest.name}: has suspended itself, and stays so: project-vm start ${project} wakes it`);
    if (state) return console.log("null");
  }
  const readiness = await waitUntilReady(guest, limits[virtualization], sayProgress, tailnet).catch(async (error) => {
    // Whatever it had been, it cannot go on as that: the next update has a new key for it.
    if (error instanceof NotReadyError && error.stage === "tailnet") await markTailnet(virsh, guest.name, undefined);
    throw error;
  });
  if (!tailnet && joined) {
    say(await guest.leaveTailnet());
    await markTailnet(virsh, guest.name, undefined);
  }
  if (readiness.tailnet) await markTailnet(virsh, guest.name, readiness.tailnet);
  if (starting) await markStarting(virsh, guest.name, false);
  console.log(JSON.stringify(readiness));
});
