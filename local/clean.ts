import { rm } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { embeddedHostFor, stopEmbeddedHost, wipeEmbeddedHost } from "../host/embedded.ts";
import { localDir } from "../host/resolve.ts";
import { projectRoot } from "./checkout.ts";
import { log } from "./progress.ts";
import { run } from "./run.ts";

/** `make clean`: asks, then removes this checkout's VMs with their project disks, its state and its keys. */
async function main(): Promise<void> {
  const host = embeddedHostFor(projectRoot);
  console.log("This removes, for good:");
  console.log(`  ${host.dir}  all VMs of this checkout's embedded host, and their project disks`);
  console.log(`  ${localDir(projectRoot)}  the state of all stacks, the passphrase, the SSH key made for the VMs`);
  console.log("VMs on other hosts stay, but without their state. Downloads and builds in the cache stay.");
  if ((await ask("Type yes to remove them: ")) !== "yes") {
    console.log("Nothing was removed.");
    process.exitCode = 1;
    return;
  }
  await stopEmbeddedHost(host, log);
  await wipeEmbeddedHost(host);
  await rm(localDir(projectRoot), { recursive: true, force: true });
  log("removed");
}

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

await run(main);
