import path from "node:path";
import { execa } from "execa";
import type { ProjectOutput } from "../components/outputs.ts";
import { UserError } from "../config/errors.ts";
import { checkStackFile } from "../config/stack-file.ts";
import { Guest } from "../guest/guest.ts";
import { limits, waitUntilReady } from "../guest/ready.ts";
import { embeddedHostFor, startEmbeddedHost } from "../host/embedded.ts";
import { takeInventory } from "../host/inventory.ts";
import { virshFor } from "../host/virsh.ts";
import { ensureSshKey, projectRoot } from "./checkout.ts";
import { log, secondsPassed } from "./progress.ts";
import { run } from "./run.ts";
import { releaseDeadLocks } from "./stack-lock.ts";

const stack = "local";
const host = embeddedHostFor(projectRoot);

/** `make up`: the embedded host, then the stack `local` on it, then one line for each VM that says how to get in. */
async function main(): Promise<void> {
  checkStackFile(path.join(projectRoot, `Pulumi.${stack}.yaml`));
  await ensureSshKey(projectRoot, log);
  await startEmbeddedHost(host, log);
  await pulumi("stack", "select", "--create", stack);
  await releaseDeadLocks(projectRoot, stack, log);
  log(`pulumi up -s ${stack}`);
  await pulumi("up", "--stack", stack, "--yes", "--skip-preview");
  const { stdout } = await execa("pulumi", ["stack", "output", "projects", "--json", "--stack", stack], {
    cwd: projectRoot,
  });
  const projects = Object.values(JSON.parse(stdout) as Record<string, ProjectOutput>);
  await waitForAll(projects);
  if (projects.length === 0)
    log(`the stack has no projects: add one under project-vms:projects in Pulumi.${stack}.yaml`);
  for (const { name, ssh } of projects) console.log(`READY ${name} ${secondsPassed()}s  ${ssh}`);
}

/** Its output is the user's to see as it comes; what it says of an error is enough. */
async function pulumi(...args: string[]): Promise<void> {
  const { exitCode } = await execa("pulumi", args, {
    cwd: projectRoot,
    stdin: "ignore",
    stdout: process.stderr,
    stderr: process.stderr,
    reject: false,
  });
  if (exitCode !== 0) throw new UserError(`pulumi ${args.join(" ")} did not succeed; what it says is above.`);
}

/** The update waited for the VMs that it made; those that came back with the host are still booting. */
async function waitForAll(projects: ProjectOutput[]): Promise<void> {
  const { virtualization, domains } = await takeInventory({ ...host, virtualization: "auto" });
  const running = projects.filter(({ name }) =>
    domains.some((domain) => domain.name === `project-${name}` && domain.state === "running"),
  );
  await Promise.all(
    running.map(({ name }) => waitUntilReady(new Guest(virshFor(host.uri), name), limits[virtualization], log)),
  );
}

await run(main);
