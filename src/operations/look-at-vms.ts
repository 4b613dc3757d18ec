import { posix } from "node:path";
import type { HostSettings } from "../config/settings.ts";
import type { GuestAddress } from "../core/guest-values.ts";
import { domainName, macAddress, namePrefix, poolName } from "../core/names.ts";
import { isCopy } from "../libvirt/copies.ts";
import { leasesIn } from "../libvirt/leases.ts";
import { withVirshSession } from "../libvirt/virsh.ts";
import { type Ask, type BatchAnswer, connected, whatIsThere } from "../libvirt/virsh-answers.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { type DiskStats, type DomainStats, domstatsCommand, parseDomstats } from "./domstats.ts";

/** A VM on a host, whoever made it. */
export interface VmFound extends Omit<DomainStats, "name"> {
  /** The project's name. */
  name: string;
  /** The stack whose mark it bears; undefined: none of this product. */
  stack: string | undefined;
  /** From the leases of its network. */
  addresses: GuestAddress[];
}

/** A project disk whose project has no VM on the host. */
export type DiskFound = DiskStats & { name: string };

/** What is on a host, as far as a list of VMs goes. */
export interface HostFound {
  vms: VmFound[];
  disks: DiskFound[];
}

/** The settings of a host that this needs. */
export type LookHost = Pick<HostSettings, "uri" | "storageDir" | "network">;

/** Seconds for all of it; a host with a hundred VMs takes a fifth of one. */
const timeLimit = 30;

/**
 * Looks at the VMs of a host, over its libvirt, in one or two questions however many there are. The inventory sees more, and
 * takes ten times as long. Changes nothing.
 *
 * @throws UserError when the host does not answer, or no more before all is known
 * @example const { vms } = await lookAtVms(stack.host)
 */
export async function lookAtVms(host: LookHost): Promise<HostFound> {
  try {
    return await withVirshSession(host.uri, (ask) => look(host, connected(ask)), timeLimit);
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    // Loaded only now: a list of VMs is to start fast.
    const { hostUnreachable } = await import("../libvirt/unreachable.ts");
    throw hostUnreachable(host.uri, error.reason);
  }
}

async function look({ uri, storageDir, network }: LookHost, ask: Ask): Promise<HostFound> {
  const overview = [domstatsCommand, ["pool-list", "--name"], ["net-dhcp-leases", network.name]];
  const [stats, pools, leases] = await ask(overview);
  if (!stats?.ok || !pools?.ok) throw new VirshError(uri, [], undefined, stats?.error || pools?.error || "no answer");
  const domains = parseDomstats(stats.output).filter(({ name }) => name.startsWith(namePrefix));
  const names = domains.map(({ name }) => name.slice(namePrefix.length));
  const idle = projectsOf(pools).filter((name) => !names.includes(name));
  const suspects = domains.filter(mayBeCopy).map(({ name }) => name);
  const answers = await ask([
    ...names.map((name) => ["desc", domainName(name)]),
    ...suspects.map((name) => ["domuuid", name]),
    ...idle.flatMap(diskQuestions),
  ]);
  // Whose a VM is of which libvirt does not tell, is not known: it is nobody else's.
  const descriptions = whatIsThere(answers.slice(0, names.length));
  const uuids = whatIsThere(answers.slice(names.length, names.length + suspects.length));
  const isCopied = (domain: DomainStats) => {
    const uuid = answerAbout(domain.name, uuids);
    return uuid !== undefined && isCopy({ ...identityOf(domain), uuid: uuid.output.trim() });
  };
  const disks = answers.slice(names.length + suspects.length);
  return {
    vms: domains.flatMap((domain, i) => {
      const name = names[i] ?? "";
      const description = answerAbout(domain.name, descriptions);
      if (!description) return [];
      const stack = isCopied(domain) ? undefined : ownerIn(description);
      return [{ ...domain, name, stack, addresses: addressesIn(leases, name) }];
    }),
    disks: idle.flatMap((name, i) => idleDisk(name, storageDir, disks.slice(2 * i, 2 * i + 2))),
  };
}

const answerAbout = (domain: string, answers: BatchAnswer[]) => answers.find(({ command }) => command[1] === domain);

/** While a domain is off, libvirt does not say where a disk is that its definition names as a volume, as earlier versions did. */
const identityOf = ({ name, disks }: DomainStats) => ({
  name,
  uuid: "",
  diskPaths: disks.map(({ path }) => path).filter(Boolean),
});

/** Whether a domain could be a copy of a VM: then its UUID tells, which is asked of no other. */
const mayBeCopy = (domain: DomainStats) => isCopy(identityOf(domain));

function projectsOf({ output }: BatchAnswer): string[] {
  const pools = output.split("\n").map((line) => line.trim());
  return pools.filter((pool) => pool.startsWith(namePrefix)).map((pool) => pool.slice(namePrefix.length));
}

const diskQuestions = (name: string) => [
  ["pool-dumpxml", poolName(name)],
  ["vol-info", "project.qcow2", "--bytes", "--pool", poolName(name)],
];

/** None where the pool is of another folder, or has no such disk. */
function idleDisk(name: string, storageDir: string, [pool, volume]: BatchAnswer[]): DiskFound[] {
  const folder = posix.join(storageDir, name);
  if (!volume?.ok || !pool?.output.includes(`<path>${folder}</path>`)) return [];
  const bytes = (key: string) => Number(new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(volume.output)?.[1] ?? 0);
  return [{ name, path: posix.join(folder, "project.qcow2"), size: bytes("Capacity"), used: bytes("Allocation") }];
}

/** The stack in the mark that `ownerMark` makes. */
function ownerIn({ output }: BatchAnswer): string | undefined {
  return /^[ \t]*project-vms stack (\S+)[ \t]*$/m.exec(output)?.[1];
}

/** A network that libvirt gives no addresses on has no leases. */
function addressesIn(leases: BatchAnswer | undefined, name: string): GuestAddress[] {
  const own = leasesIn(leases?.output ?? "").filter(({ mac }) => mac === macAddress(name));
  return [...new Set(own.map(({ address }) => address))].sort(byFamily);
}

const byFamily = (a: string, b: string) => Number(a.includes(":")) - Number(b.includes(":")) || (a < b ? -1 : 1);
