import { posix } from "node:path";
import { isFiltered } from "../config/managed-networks.ts";
import type { NetworkSettings } from "../config/settings.ts";
import { networkOf, overlaps, parseCidr } from "../core/cidr.ts";
import { counted } from "../core/counted.ts";
import { formatPath, type Issue } from "../core/errors.ts";
import {
  baseFolder,
  basePoolName,
  domainName,
  longestLabel,
  markedStack,
  networkDomain,
  poolName,
  renameBack,
} from "../core/names.ts";
import { describeCopies, hasLostMark, isCopy, markRemedy } from "../libvirt/copies.ts";
import type { DomainFound, Inventory, NetworkFound, PoolFound } from "../libvirt/inventory.ts";
import { virshInShell } from "../libvirt/virsh-line.ts";
import { isOwnedBy } from "../lifecycle/leftovers.ts";
import type { HostCheck } from "./host-check.ts";

/**
 * What of the names that a stack wants belongs to somebody else on the host. That is refused, never taken over:
 * it may be another stack's, or nothing to do with Project VMs at all.
 */

/** Pools of our names that are not ours, and pools of other names on our folders. */
export function foreignPools({ config, host, inventory, file }: HostCheck): Issue[] {
  const poolOf = (path: string[], pool: string, folder: string) => ({
    path: formatPath(file, path),
    pool,
    folder: posix.join(host.storageDir, folder),
  });
  const projects = Object.keys(config.projects).map((name) => poolOf(["projects", name], poolName(name), name));
  const wanted = [poolOf(["host", "storageDir"], basePoolName, baseFolder), ...projects];
  return wanted.flatMap(({ path, pool, folder }): Issue[] => {
    const issues: Issue[] = [];
    const found = inventory.pools.find(({ name }) => name === pool);
    if (found && (found.type !== "dir" || tidy(found.path) !== folder)) {
      const at = found.path ? ` at ${found.path}` : "";
      const rule = `the pool \`${pool}\` on ${inventory.uri} is not ours: it is of type ${found.type}${at}, ours would be of type dir at ${folder}`;
      issues.push({ path, rule, remedy: poolRemedy(found, folder, inventory.uri) });
    }
    const other = inventory.pools.find(({ name, path: at }) => name !== pool && tidy(at) === folder);
    if (other) {
      const rule = `the folder ${folder} on ${inventory.uri} is that of the pool \`${other.name}\`, which is not ours`;
      issues.push({ path, rule, remedy: "choose another name or another storageDir, or undefine that pool" });
    }
    return issues;
  });
}

function poolRemedy(found: PoolFound, folder: string, uri: string): string {
  const commands = ["pool-destroy", "pool-undefine"].map((verb) => virshInShell(uri, verb, found.name));
  const undefine = `remove that pool (its files stay): \`${commands.join(" && ")}\``;
  // Most likely somebody changed storageDir; the disks are still in the folder of before.
  const moved = found.type === "dir" && posix.basename(tidy(found.path)) === posix.basename(folder);
  return moved
    ? `set storageDir to \`${posix.dirname(tidy(found.path))}\`, or ${undefine}`
    : `choose another name, or ${undefine}`;
}

/** Domains of our names without our mark, and domains of other names that use our disks. */
export function foreignDomains(check: HostCheck): Issue[] {
  const { config, host, inventory, stack, formerName, file } = check;
  return Object.keys(config.projects).flatMap((name): Issue[] => {
    const path = formatPath(file, ["projects", name]);
    const domain = domainName(name);
    const issues: Issue[] = [];
    const found = inventory.domains.find((one) => one.name === domain);
    if (found && ![stack, formerName].some((name) => name !== undefined && isOwnedBy(found, name))) {
      const another = "choose another name, or remove that domain yourself if nobody needs it";
      const isUnmarked = hasLostMark(found);
      const { state, description = "" } = found;
      const mark = markRemedy(inventory.uri, stack, { project: name, isOff: state === "shut off", description });
      const whose = isUnmarked ? "does not say which stack it is of" : "belongs to somebody else";
      const rule = `the domain \`${domain}\` on ${inventory.uri} ${whose}: ${described(found)}`;
      issues.push({ path, rule, remedy: isUnmarked ? `${mark}; otherwise ${another}` : another + ifRenamed(check) });
    }
    const folder = `${posix.join(host.storageDir, name)}/`;
    const user = inventory.domains.find((one) => one.name !== domain && usesDisksIn(inventory, folder, one));
    if (user) {
      const rule = `its disks in ${folder} are used by the domain \`${user.name}\` on ${inventory.uri}, which is not ours`;
      issues.push({
        path,
        rule,
        remedy: "choose another name or another storageDir, or take those disks from that domain",
      });
    }
    return issues;
  });
}

/**
 * Whether a domain is known to have one of our disks, or an image that stands on one. A copy that virt-manager has made has its disks
 * beside ours, and shares the seed, which is only read.
 */
function usesDisksIn({ pools }: Inventory, folder: string, { diskPaths, devices = [] }: DomainFound): boolean {
  const own = ["disk.qcow2", "project.qcow2"].map((name) => `${folder}${name}`);
  const chains = devices.flatMap(({ disks }) => disks.flatMap(({ chain }) => chain));
  const volumes = new Map(pools.flatMap((pool) => pool.volumes.map((volume) => [volume.path, volume] as const)));
  const isOnOurs = (file: string, depth = 0): boolean => {
    if (own.includes(file)) return true;
    if (!file.startsWith(folder) || file === `${folder}seed.iso`) return false;
    const volume = volumes.get(file);
    // A copy is in the list of its pool; what is not was laid there past libvirt, and may stand on ours.
    if (volume === undefined) return true;
    if (volume.backingPath === undefined || depth > volumes.size) return false;
    return isOnOurs(posix.normalize(volume.backingPath), depth + 1);
  };
  return [...diskPaths, ...chains].some((file) => isOnOurs(posix.normalize(file)));
}

/** What bears the mark of a stack, and is none of its VMs. */
export function copies({ inventory, stack, file }: HostCheck): string[] {
  return describeCopies(inventory.domains, stack).map((text) => `${formatPath(file, ["projects"])}: ${text}`);
}

/**
 * A stack that was renamed: what is its own on the host bears the name of before, and all that the engine would do is to make it
 * a second time. One issue for all of that.
 */
export function renamedIssues({ host, inventory, stack, formerName, file }: HostCheck): Issue[] {
  if (formerName === undefined) return [];
  const { networks, domains, uri } = inventory;
  const network = networks.find(({ name }) => name === host.network.name);
  const bearers = [
    ...(network?.dnsDomain === networkDomain(formerName) ? [`the network \`${network.name}\``] : []),
    ...domains.filter((domain) => isOwnedBy(domain, formerName)).map(({ name }) => `the domain \`${name}\``),
  ];
  if (bearers.length === 0) return [];
  const more = bearers.length > 1 ? ` (and ${counted(bearers.length - 1, "more mark")})` : "";
  const rule = `is of a stack that was renamed: ${bearers[0]} on ${uri} bears the former name \`${formerName}\`${more}`;
  const back = `\`${renameBack(formerName, stack)}\``;
  const remedy = `give it that name back, which changes no VM: ${back}; how a stack gets another name: docs/remote-hosts.md`;
  return [{ path: file, rule, remedy }];
}

/**
 * Where the state is not read here, and all that this stack wants of what is on the host bears the marks of one other stack: that
 * may be its former name.
 */
function ifRenamed({ mayBeRenamed, config, host, inventory, stack }: HostCheck): string {
  if (!mayBeRenamed) return "";
  const { networks, domains } = inventory;
  const wanted = Object.keys(config.projects).map(domainName);
  const marks = [
    ...networks
      .filter(({ name }) => host.network.kind === "managed" && name === host.network.name)
      .map(({ dnsDomain }) => dnsDomain),
    ...domains
      .filter((domain) => wanted.includes(domain.name) && !isCopy(domain))
      .map(({ description }) => description),
  ];
  const [name, ...more] = new Set(marks.map((mark) => markedStack(mark)).filter((mark) => mark !== undefined));
  if (name === undefined || name === stack || more.length > 0) return "";
  return `; if this stack was renamed, give it that name back, which changes no VM: \`${renameBack(name, stack)}\``;
}

/** An existing network that cannot be used; a network of our own whose name or addresses are somebody else's. */
export function networkIssues(check: HostCheck): Issue[] {
  const { network } = check.host;
  const found = check.inventory.networks.find(({ name }) => name === network.name);
  return network.kind === "existing" ? unusable(check, network.name, found) : taken(check, network, found);
}

/** A stack whose name cannot be part of a DNS domain, as it is of the network that it makes. */
export function stackNameIssues({ host, stack, file }: HostCheck): Issue[] {
  const label = stack.split(".").find((one) => one.length > longestLabel);
  if (host.network.kind === "existing" || label === undefined) return [];
  const rule = `must be of a stack whose name is at most ${longestLabel} characters long: it is part of its network's DNS domain`;
  const remedy = "make a stack with a shorter name, or name a network that is there as `host.network`";
  return [{ path: file, rule, value: stack, remedy }];
}

/** A network of our own on a host that cannot keep the VMs on it from speaking for each other. */
export function filterIssues({ host, inventory, file }: HostCheck): Issue[] {
  const { filterProblem, networks, uri } = inventory;
  if (filterProblem === undefined || !isFiltered(host.network, networks)) return [];
  const rule = `must be on a host whose libvirt has network filters: ${uri} says "${filterProblem}"`;
  const remedy =
    "install libvirt's nwfilter driver there (Debian: libvirt-daemon and iptables; Fedora: libvirt-daemon-driver-nwfilter), " +
    "or name a network of your own, which is not filtered";
  return [{ path: formatPath(file, ["host", "network"]), rule, value: host.network.name, remedy }];
}

/** Our own network, stopped: VMs on it will not start. */
export function stoppedNetworks({ host, inventory, file }: HostCheck): string[] {
  const found = inventory.networks.find(({ name }) => name === host.network.name);
  if (host.network.kind === "existing" || !found || found.active) return [];
  const start = virshInShell(inventory.uri, "net-start", found.name);
  return [
    `${formatPath(file, ["host", "network"])}: the network \`${found.name}\` is stopped; start it with \`${start}\``,
  ];
}

function unusable({ inventory, file }: HostCheck, name: string, found: NetworkFound | undefined): Issue[] {
  const path = formatPath(file, ["host", "network"]);
  if (!found) {
    const there = inventory.networks.map((one) => `\`${one.name}\``).join(", ") || "none";
    const rule = `must be a network that is there: ${inventory.uri} has ${there}`;
    return [
      {
        path,
        rule,
        value: name,
        remedy: `name one of those, or write \`{name: ${name}, cidr: 10.77.0.0/24}\` to have it made`,
      },
    ];
  }
  if (found.active) return [];
  const rule = `must be a network that is active on ${inventory.uri}`;
  return [{ path, rule, value: name, remedy: `start it: \`${virshInShell(inventory.uri, "net-start", name)}\`` }];
}

type Managed = Extract<NetworkSettings, { kind: "managed" }>;

function taken(check: HostCheck, { name, cidr }: Managed, found: NetworkFound | undefined): Issue[] {
  const { inventory, stack, formerName, file } = check;
  const ours = networkDomain(stack);
  const isRenamed = formerName !== undefined && found?.dnsDomain === networkDomain(formerName);
  if (found && found.dnsDomain !== ours && !isRenamed) {
    const mark = found.dnsDomain ? `its DNS domain is ${found.dnsDomain}` : "it has no DNS domain";
    const rule = `the network \`${name}\` on ${inventory.uri} belongs to somebody else: ${mark}, ours would be ${ours}`;
    const remedy = `write \`network: ${name}\` to share it, or choose another name and cidr${ifRenamed(check)}`;
    return [{ path: formatPath(file, ["host", "network", "name"]), rule, remedy }];
  }
  const wanted = parseCidr(cidr);
  const other = inventory.networks.find((one) => {
    const range = networkOf(one.cidr);
    return one.name !== name && one.active && range && overlaps(wanted, range);
  });
  if (!other) return [];
  const rule = `must not overlap the network \`${other.name}\` on ${inventory.uri}, which has ${other.cidr}`;
  const remedy = `choose other addresses, or write \`network: ${other.name}\` to share it`;
  return [{ path: formatPath(file, ["host", "network", "cidr"]), rule, value: cidr, remedy }];
}

function described(domain: DomainFound): string {
  const { description = "", state } = domain;
  const stack = markedStack(description);
  if (stack !== undefined && isCopy(domain)) return `it is a copy of a VM of the stack \`${stack}\` (${state})`;
  if (stack !== undefined) return `it is of the Project VMs stack \`${stack}\` (${state})`;
  return description
    ? `its description is ${JSON.stringify(description)} (${state})`
    : `it has no description (${state})`;
}

const tidy = (path: string) => (path ? posix.normalize(path).replace(/\/+$/, "") : "");
