import { rm } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { checkoutOfHost, projectRoot } from "../src/checkout/checkout.ts";
import { dropSalts, saltedFiles } from "../src/checkout/passphrase.ts";
import { localDir } from "../src/checkout/resolve.ts";
import { printable } from "../src/core/printable.ts";
import { log } from "../src/core/progress.ts";
import { runProgram } from "../src/core/run-program.ts";
import { requireRemovable, stopEmbeddedHost, wipeEmbeddedHost } from "../src/embedded-host/embedded.ts";
import { lostHostLine, lostHosts } from "../src/embedded-host/lost-hosts.ts";
import { embeddedHostFor } from "../src/libvirt/embedded-layout.ts";
import { shellFor } from "../src/libvirt/shell.ts";
import { removeAllSchedules } from "../src/project-disks/schedule.ts";

/**
 * `make clean`: asks, then removes this checkout's VMs with their project disks, backups and schedules, its state and its keys; with
 * GONE the embedded host of a checkout that is gone.
 */
async function main(): Promise<void> {
  const checkout = checkoutOfHost();
  const host = embeddedHostFor(checkout);
  const isGone = checkout !== projectRoot;
  // Before anything of it is stopped or removed.
  requireRemovable(host);
  say("This removes, for good:");
  if (isGone) say(`  ${host.dir}  all VMs of ${checkout}, which is gone, their project disks and backups`);
  else {
    say(`  ${host.dir}  all VMs of this checkout's embedded host, their project disks and backups`);
    say(`  ${localDir(projectRoot)}  the state of all stacks, the passphrase, the SSH key made for the VMs`);
    for (const { name, hasSecrets } of saltedFiles(projectRoot))
      if (hasSecrets) say(`  the secrets in ${name}, which only that passphrase opens`);
    say("VMs on other hosts stay, but without their state. Downloads and builds in the cache stay.");
    for (const lost of lostHosts()) say(`Stays: ${lostHostLine(lost)}`);
  }
  if ((await ask("Type yes to remove them: ")) !== "yes") {
    console.log("Nothing was removed.");
    process.exitCode = 1;
    return;
  }
  await stopEmbeddedHost(host, log, undefined, true);
  for (const project of await removeAllSchedules(shellFor(host.uri), host.storageDir)) {
    log(`${project}: backup schedule removed`);
  }
  await wipeEmbeddedHost(host);
  if (!isGone) {
    await rm(localDir(projectRoot), { recursive: true, force: true });
    dropSalts(projectRoot);
  }
  log("removed");
}

/** A line, with names of files in it that are as others called them. */
const say = (line: string) => console.log(printable(line));

/** The answer, or nothing when there is nobody to give one. */
async function ask(question: string): Promise<string> {
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const ended = new Promise<string>((resolve) => prompt.once("close", () => resolve("")));
    return (await Promise.race([prompt.question(question), ended])).trim();
  } finally {
    prompt.close();
  }
}

await runProgram(main);
