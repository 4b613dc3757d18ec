import path from "node:path";
import { requireReadableState } from "../src/checkout/broken-state.ts";
import { ensureSshKey, projectRoot } from "../src/checkout/checkout.ts";
import { lockedStack } from "../src/checkout/engine-lock.ts";
import { stackHeld } from "../src/checkout/locked-stack.ts";
import type { ProjectOutput } from "../src/checkout/outputs.ts";
import { cutOffSalt, wrongPassphrase } from "../src/checkout/passphrase.ts";
import { readPulumiProject, stackFileName } from "../src/checkout/pulumi-files.ts";
import { checkStackFile } from "../src/checkout/read-stack-file.ts";
import { embeddedHostSsh, localDir } from "../src/checkout/resolve.ts";
import { sshFilePaths, writeSshFiles } from "../src/checkout/ssh-files.ts";
import { keepingFile } from "../src/checkout/stack-file.ts";
import { releaseDeadLocks } from "../src/checkout/stack-lock.ts";
import { readStackState } from "../src/checkout/stack-state.ts";
import { requireStateRoom } from "../src/checkout/state-room.ts";
import { stackUrn } from "../src/config/pulumi-project.ts";
import { type Issue, UserError } from "../src/core/errors.ts";
import { execa } from "../src/core/execa.ts";
import { domainName } from "../src/core/names.ts";
import { log, secondsPassed } from "../src/core/progress.ts";
import { runProgram } from "../src/core/run-program.ts";
import { startEmbeddedHost } from "../src/embedded-host/embedded.ts";
import { lostHostLine, lostHosts } from "../src/embedded-host/lost-hosts.ts";
import { Guest } from "../src/guest/guest.ts";
import { limits, type Readiness, waitUntilReady } from "../src/guest/ready.ts";
import { storedOutput } from "../src/guest/stored.ts";
import { embeddedHostFor } from "../src/libvirt/embedded-layout.ts";
import { takeInventory } from "../src/libvirt/inventory.ts";
import { virshFor } from "../src/libvirt/virsh.ts";
import { type ReadyOnes, readyOnes, requireAllReady } from "./ready-ones.ts";

const stack = "local";
const host = embeddedHostFor(projectRoot);

/** `make up`: the embedded host, then the stack `local` on it, then one line for each VM that says how to get in. */
async function main(): Promise<void> {
  checkStackFile(projectRoot, stackFileName(projectRoot, stack));
  await requireReadableState(projectRoot, stack);
  await requireStateRoom(projectRoot, stack);
  await ensureSshKey(projectRoot, log);
  await startEmbeddedHost(host, log);
  for (const lost of lostHosts()) log(lostHostLine(lost));
  // Before the stack is looked for: of one whose engine was killed while it began it, there may be the lock alone.
  await releaseDeadLocks(projectRoot, stack, log);
  const file = path.join(projectRoot, stackFileName(projectRoot, stack));
  const saidBy = (error: unknown) => (error instanceof PulumiFailed ? error.said : "");
  await keepingFile(file, selectStack, log, saidBy);
  const held = await stackHeld(projectRoot, stack);
  if (held) throw held;
  log(`pulumi up -s ${stack}`);
  await keepingFile(file, () => pulumi("up", "--stack", stack, "--yes", "--skip-preview"), log, saidBy);
  if ((await readStackState(projectRoot, stack))?.isCutOff) {
    // What was being made when an update was killed was found by this one, and would be warned about at each.
    const target = ["--target", stackUrn(readPulumiProject(projectRoot).name, stack)];
    await pulumi("refresh", "--stack", stack, "--yes", "--skip-preview", "--clear-pending-creates", ...target);
  }
  const { stdout } = await execa("pulumi", ["stack", "output", "projects", "--json", "--stack", stack], {
    cwd: projectRoot,
  });
  const outputs = Object.entries(JSON.parse(stdout) as Record<string, ProjectOutput>);
  const projects = outputs.map(([name, output]) => storedOutput(output, name));
  if (projects.length === 0) log(`the stack has no projects: add one to project-vms:projects in Pulumi.${stack}.yaml`);
  const { ready, failures } = await waitForRunning(projects);
  const off = projects.filter(({ name }) => !ready.some((project) => project.name === name));
  writeSshFiles(sshFilePaths(localDir(projectRoot), stack), [...ready, ...off], embeddedHostSsh(projectRoot));
  for (const { name, ssh } of ready) console.log(`READY ${name} ${secondsPassed()}s  ${ssh}`);
  requireAllReady({ failures });
}

async function selectStack(): Promise<void> {
  const args = ["stack", "select", "--create", stack];
  const { failed, all } = await execa("pulumi", args, { cwd: projectRoot, stdin: "ignore", reject: false, all: true });
  if (!failed) return;
  throw (
    (await lockedStack({ stdout: "", stderr: all ?? "" }, projectRoot, stack)) ??
    wrongPassphrase(projectRoot, stack, all ?? "") ??
    new PulumiFailed(`pulumi ${args.join(" ")} did not succeed:\n${all ?? ""}`, all ?? "")
  );
}

class PulumiFailed extends UserError {
  /** What it printed as an error; a guest's words are not among that. */
  readonly said: string;

  constructor(title: string, said: string, issues?: Issue[]) {
    super(title, issues);
    this.said = said;
  }
}

/** Its output is the user's to see as it comes. On Ctrl-C the engine, which hears it too, ends in order, and is waited for. */
async function pulumi(...args: string[]): Promise<void> {
  const onInterrupt = () => log("interrupted: waiting for pulumi to end in order");
  process.on("SIGINT", onInterrupt);
  const { exitCode, stderr } = await execa("pulumi", args, {
    cwd: projectRoot,
    stdin: "ignore",
    // What it does, a guest's words with it, is on stdout, as on a terminal.
    stdout: process.stderr,
    stderr: [process.stderr, "pipe"],
    reject: false,
  });
  process.off("SIGINT", onInterrupt);
  if (exitCode === 0) return;
  // It may have met the lock of an engine that was faster, and can be short of words for that (src/checkout/engine-lock.ts).
  const held = await stackHeld(projectRoot, stack);
  const issues = held?.issues ?? cutOffSalt(projectRoot, stack)?.issues;
  throw new PulumiFailed(`pulumi ${args.join(" ")} did not succeed; what it says is above.`, stderr ?? "", issues);
}

/**
 * The update waited for the VMs that it made; those that came back with the host are still booting, and may have
 * another address. One that its user shut down stays off.
 */
async function waitForRunning(projects: ProjectOutput[]): Promise<ReadyOnes<ProjectOutput>> {
  const { virtualization, domains } = await takeInventory({ ...host, virtualization: "auto" });
  const runs = (name: string) => domains.some((one) => one.name === domainName(name) && one.state === "running");
  for (const { name } of projects.filter((project) => !runs(project.name)))
    log(`${domainName(name)} is shut off; to start it: project-vm start ${name} --wait`);
  return readyOnes(
    projects
      .filter(({ name }) => runs(name))
      .map(async (project) => {
        const guest = new Guest(virshFor(host.uri), project.name);
        return { ...project, ...pick(await waitUntilReady(guest, limits[virtualization], log)) };
      }),
  );
}

const pick = ({ addresses, hostKeys }: Readiness) => ({ addresses, hostKeys });
await runProgram(main);
