import type { GuestAddress, HostKey, TailnetAddress, TailnetName } from "../core/guest-values.ts";
import { domainName, hostName } from "../core/names.ts";
import { shellWord } from "../core/shell-word.ts";
import type { Readiness } from "../guest/ready.ts";
import type { Inventory } from "../libvirt/inventory.ts";

/** What a stack says of one project's VM. */
export interface ProjectOutput {
  name: string;
  /** The domain's state on the host when the update began; `running` for one that it made. */
  state: string;
  addresses: GuestAddress[];
  /** A command that logs in, with room for a command to run behind it. */
  ssh: string;
  /** The SSH server's public host keys. */
  hostKeys: HostKey[];
  /** Its name in its tailnet, where `ssh dev@<name>` logs in from any device that the tailnet's policy lets in. */
  tailnetName: TailnetName | undefined;
  tailnetAddresses: TailnetAddress[] | undefined;
  /** Paths on the host. */
  disks: { root: string; project: string };
  /** The base image that the root disk stands on. */
  image: string;
  /** How long the VM took to become ready when it was made, in seconds; with each stage's part. */
  secondsToReady: number | undefined;
  stages: Readiness["stages"] | undefined;
}

/** What is known of a VM once it is there. */
export interface ProjectFacts {
  disks: { root: string; project: string };
  ready: Readiness | undefined;
  /** Name of the base image that its root disk stands on. */
  image: string;
  inventory: Inventory;
  /** The configuration file for SSH clients. */
  ssh: { config: string };
}

/** One project's outputs. @example projectOutput("myapp", { disks, ready, image, inventory, ssh }) */
export function projectOutput(name: string, { disks, ready, image, inventory, ssh }: ProjectFacts): ProjectOutput {
  return {
    name,
    state: inventory.domains.find((domain) => domain.name === domainName(name))?.state ?? "running",
    addresses: ready?.addresses ?? [],
    ssh: `ssh -F ${shellWord(ssh.config)} ${hostName(name)}`,
    hostKeys: ready?.hostKeys ?? [],
    tailnetName: ready?.tailnet?.name,
    tailnetAddresses: ready?.tailnet?.addresses,
    disks,
    image,
    secondsToReady: ready?.seconds,
    stages: ready?.stages,
  };
}

/**
 * What somebody needs to know who has just brought the stack up, as text.
 * @example instructions("local", "Pulumi.local.yaml", [project])
 */
export function instructions(stack: string, file: string, projects: ProjectOutput[]): string {
  const edit = `project-vms:projects in ${file}, then run \`pulumi up -s ${stack}\``;
  if (projects.length === 0) return `Stack ${stack} has no projects yet. Add one, e.g. \`myapp: {}\`, under ${edit}.`;
  return [
    "Log in as dev. What is in /home/dev/project is on the project's own disk; the rest goes with the VM.",
    ...projects.map(({ name, ssh }) => `  ${name}: ${ssh}`),
    `Add or remove projects under ${edit}.`,
    "A removed project's disk is kept on the host and adopted when the project comes back.",
  ].join("\n");
}
