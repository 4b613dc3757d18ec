import { posix } from "node:path";
import type { Stack } from "../../checkout/stack.ts";
import type { StackState } from "../../checkout/stack-state.ts";
import { isFiltered } from "../../config/managed-networks.ts";
import { counted } from "../../core/counted.ts";
import { factOf } from "../../core/errors.ts";
import type { NameBefore } from "../../core/names.ts";
import { basePoolName, domainName, namePrefix, poolName } from "../../core/names.ts";
import { shellWord } from "../../core/shell-word.ts";
import { formatSize, GiB } from "../../core/sizes.ts";
import { describeCopies, hasLostMark } from "../../libvirt/copies.ts";
import { networkWithoutStp } from "../../libvirt/edited-xml.ts";
import type { DomainFound, Inventory, PoolFound } from "../../libvirt/inventory.ts";
import {
  detachedDisks,
  detachedText,
  ejectedDiskIssue,
  ejectedDisks,
  giveMemoryUp,
  manualChanges,
  ownDisks,
} from "../../libvirt/manual-changes.ts";
import { transientIssue } from "../../libvirt/transient.ts";
import type { Virsh } from "../../libvirt/virsh.ts";
import { withXmlFile } from "../../libvirt/xml-file.ts";
import { isOwnedBy, unknownVmRemedy } from "../../lifecycle/leftovers.ts";
import {
  attachFilter,
  bareInterfaces,
  defineFilter,
  lacksFilter,
  ownInterfaces,
  strayInterfaces,
} from "../../lifecycle/network-filter.ts";
import { findProject } from "../../lifecycle/plan.ts";
import { checkAgainstHost } from "../../preflight/host-checks.ts";
import { type Examined, failure, ok, warning } from "./finding.ts";

/** Below this the next VM may not fit. */
const littleSpace = 5 * GiB;

/** What a look at a stack's host tells of its health. It changes nothing; `virsh` is for what is mended later. */
export function examineHost(stack: Stack, inventory: Inventory, virsh: Virsh, before: NameBefore = {}): Examined[] {
  const { config, host, name, file } = stack;
  // What it warns of, and of pools, is said below, with figures and what mends it.
  const { errors } = checkAgainstHost(config, host.settings, inventory, name, file, before);
  return [
    ok("libvirt", `${inventory.uri} answers`),
    ok("QEMU", inventory.hypervisorVersion),
    ...network(stack, inventory, virsh),
    ...networkFilters(stack, inventory, virsh),
    ...pools(stack, inventory, virsh),
    ...byHand(stack, inventory, virsh),
    ...copiesOn(stack, inventory),
    space(stack, inventory),
    memory(stack, inventory),
    ...errors.map(({ path, rule, remedy }) => failure("config", `${path}: ${rule}`, remedy)),
  ];
}

/** A network of the host's own that is not there is a mistake in the config, and told with the others. */
function network({ host }: Stack, { uri, networks, domains }: Inventory, virsh: Virsh): Examined[] {
  const { name, kind } = host.settings.network;
  const found = networks.find((one) => one.name === name);
  if (!found) return kind === "managed" ? [ok("network", `${name} is not there yet: the first update makes it`)] : [];
  if (!found.active) {
    // Libvirt does not put running guests back onto a network that was stopped.
    const cutOff = domains.filter((one) => one.network === name && one.state === "running").map((one) => one.name);
    const rest =
      cutOff.length > 0 ? `; once it is up, these need a restart to be on it again: ${cutOff.join(", ")}` : "";
    const says = `${name} is stopped: no VM on it can be started${rest}`;
    return [failure("network", says, ...byVirsh(virsh, uri, "net-start", name))];
  }
  if (!found.autostart) {
    const says = `${name} is up, but not after the host's next start`;
    return [warning("network", says, ...byVirsh(virsh, uri, "net-autostart", name))];
  }
  return [ok("network", `${name} is up, and starts with the host`)];
}

/** What keeps the VMs on a network of ours from speaking for each other, and for the host. */
function networkFilters({ host, config, name: stack }: Stack, inventory: Inventory, virsh: Virsh): Examined[] {
  const { networks, domains, filterProblem, uri } = inventory;
  // A host that has no filters at all is a mistake in the config, and told with the others.
  if (!isFiltered(host.settings.network, networks) || filterProblem !== undefined) return [];
  const names = Object.keys(config.projects).map(domainName);
  const ours = domains.filter((domain) => isOwnedBy(domain, stack) && names.includes(domain.name));
  const ills = ours.flatMap((domain) => {
    const project = domain.name.slice(namePrefix.length);
    const strays = strayInterfaces(domain, networks, { uri, project, stack });
    return [
      ...(lacksFilter(project, domain, inventory) ? [withoutFilter(project, domain, virsh)] : []),
      ...strays.map((issue) => failure("network filters", factOf(issue), issue.remedy)),
    ];
  });
  const others = othersWithoutFilter(host.settings.network.name, inventory, ours);
  const spanning = networks.filter(({ name, stp }) => name === host.settings.network.name && stp);
  const slow = spanning.map(({ name }) => {
    const says = `the bridge of ${name} listens to the spanning tree protocol: any VM on it can hold up the others`;
    const restart = `virsh -c '${uri}' net-destroy ${name}, then net-start ${name}, while no VM runs`;
    return warning(
      "network filters",
      says,
      `project-vm doctor --fix, which holds from its next start: ${restart}`,
      () => withoutSpanningTree(virsh, name),
    );
  });
  if (ills.length + others.length + slow.length > 0) return [...ills, ...others, ...slow];
  return [ok("network filters", `each VM on ${host.settings.network.name} speaks for itself only`)];
}

function withoutFilter(project: string, { name, devices = [] }: DomainFound, virsh: Virsh): Examined {
  const network = ownInterfaces(project, devices)[0]?.on ?? "";
  const says = `${name} has none that holds: it can take other VMs' addresses on ${network}`;
  return failure("network filters", says, "project-vm doctor --fix, or the next update", async () => {
    await defineFilter(virsh, project, network);
    await attachFilter(virsh, project);
  });
}

/** What is none of this stack's business to change, but may speak for its VMs. */
function othersWithoutFilter(network: string, { domains, networks, uri }: Inventory, ours: DomainFound[]): Examined[] {
  const shared = networks.filter(({ name }) => name === network);
  const others = domains.filter((domain) => !ours.includes(domain) && bareInterfaces(domain.devices ?? [], shared)[0]);
  return others.map(({ name }) => {
    const says = `${name}, which is no VM of this stack, is on ${network} without a network filter: it can take the VMs' addresses there`;
    const edit = `virsh -c '${uri}' edit ${shellWord(name)}`;
    const remedy = `put it onto another network, or give its interface <filterref filter='clean-traffic'/>: ${edit}`;
    return warning("network filters", says, remedy);
  });
}

async function withoutSpanningTree(virsh: Virsh, network: string): Promise<void> {
  const xml = networkWithoutStp(await virsh.run("net-dumpxml", network, "--inactive"));
  await withXmlFile(xml, (file) => virsh.run("net-define", file));
}

/** The projects' pools, and the one of the base images. */
function pools({ config, host, name: stack }: Stack, { pools, domains, uri }: Inventory, virsh: Virsh): Examined[] {
  const projects = Object.keys(config.projects);
  const ours = pools.filter(({ name }) => name === basePoolName || projects.map(poolName).includes(name));
  const lost = projects.filter(
    (project) =>
      domains.some((domain) => domain.name === domainName(project) && isOwnedBy(domain, stack)) &&
      !ours.some(({ name }) => name === poolName(project)),
  );
  const ills = [
    ...ours.flatMap((pool) => examinePool(pool, uri, virsh) ?? []),
    ...lost.map((project) => gonePool(poolName(project), posix.join(host.settings.storageDir, project), uri, virsh)),
  ];
  if (ills.length > 0) return ills;
  return [
    ok("pools", `${counted(ours.length, "pool")} in ${host.settings.storageDir}, up, and starting with the host`),
  ];
}

function gonePool(pool: string, folder: string, uri: string, virsh: Virsh): Examined {
  const define = ["pool-define-as", pool, "dir", "--target", folder];
  const remedy = `virsh -c '${uri}' ${define.map(shellWord).join(" ")}, then pool-start ${pool}`;
  return failure("pools", `${pool} is gone, though its VM is there`, remedy, async () => {
    await virsh.run(...define);
    await virsh.run("pool-start", pool);
    await virsh.run("pool-autostart", pool);
  });
}

/** @returns undefined where there is nothing to be said against it */
function examinePool({ name, path, active, autostart }: PoolFound, uri: string, virsh: Virsh): Examined | undefined {
  if (!active) {
    return failure("pools", `${name} (${path}) is not active`, ...byVirsh(virsh, uri, "pool-start", name));
  }
  if (autostart) return undefined;
  const says = `${name} (${path}) is active, but not after the host's next start`;
  return warning("pools", says, ...byVirsh(virsh, uri, "pool-autostart", name));
}

/** A command of virsh that mends something: as people type it, and as it is done for them. */
function byVirsh(virsh: Virsh, uri: string, verb: string, name: string): [remedy: string, mend: () => Promise<void>] {
  return [`virsh -c '${uri}' ${verb} ${name}`, () => virsh.run(verb, name).then(() => undefined)];
}

/** What others did to VMs of this stack, which no update works on before it is put right; a removed one's is taken away by none. */
function byHand({ host, name: stack }: Stack, { domains, uri }: Inventory, virsh: Virsh): Examined[] {
  const ours = domains.filter((domain) => domain.name.startsWith(namePrefix) && isOwnedBy(domain, stack));
  const ills = ours.flatMap((domain) => {
    const place = { uri, project: domain.name.slice(namePrefix.length), stack };
    const changes = manualChanges({ ...domain, isTransient: false }, host.settings.storageDir, place);
    const own = ownDisks(host.settings.storageDir, place.project);
    const detached = detachedDisks(place.project, own, domain.devices ?? []).map((target) =>
      failure(
        "VMs",
        `${domain.name} ${detachedText(target, own[target] ?? "")}`,
        `attach it again, which restarts the VM: project-vm apply --stack ${stack}`,
      ),
    );
    const ejected = ejectedDisks(place.project, own, domain.devices ?? []).map((target) =>
      ejectedDiskIssue(target, own[target] ?? "", place),
    );
    const says = `${domain.name} has saved memory (virsh managedsave): no update works on it before it has resumed`;
    const start = `project-vm start ${place.project} --stack ${stack}; ${giveMemoryUp(uri, place.project)}`;
    return [
      ...[...changes, ...ejected].map((issue) => failure("VMs", factOf(issue), issue.remedy)),
      ...detached,
      ...(domain.hasSavedMemory ? [warning("VMs", says, start)] : []),
      ...(domain.isTransient ? [notDefined(place, domain.name, virsh)] : []),
    ];
  });
  if (ills.length > 0) return ills;
  return [ok("VMs", `${counted(ours.length, "VM")}, none of them changed by other means than this program`)];
}

/** What virt-manager copied with our marks in it. */
function copiesOn({ name: stack }: Stack, { domains, uri }: Inventory): Examined[] {
  const remedy = `give it another description, if it is to stay: virsh -c '${uri}' edit <name>`;
  return describeCopies(domains, stack).map((text) => warning("VMs", text, remedy));
}

/** A VM that only runs is defined again as it runs. */
function notDefined(place: { uri: string; project: string; stack: string }, domain: string, virsh: Virsh): Examined {
  const { path, rule } = transientIssue(place);
  const there = `virsh -c '${place.uri}'`;
  const remedy = `${there} dumpxml --inactive --security-info ${domain} >vm.xml && ${there} define vm.xml`;
  return failure("VMs", `${path}: ${rule}`, remedy, async () => {
    const xml = await virsh.run("dumpxml", domain, "--inactive", "--security-info");
    await withXmlFile(xml, (file) => virsh.run("define", file));
  });
}

function space({ config, host }: Stack, { storage, pools }: Inventory): Examined {
  const { storageDir } = host.settings;
  if (!storage) return warning("disk space", `of ${storageDir} is not known`, "it is after the first update");
  const used = pools.flatMap(({ volumes }) => volumes).reduce((sum, { allocation }) => sum + allocation, 0);
  const promised = Object.values(config.projects).reduce((sum, { disk, rootDisk }) => sum + disk + rootDisk, 0);
  const free = `${formatSize(storage.available)} of ${formatSize(storage.capacity)} are free in ${storageDir}`;
  const says = `${free}; ${formatSize(used)} used by disks and images, ${formatSize(promised)} promised`;
  const remedy = "free space there: `project-vm images prune`, `project-vm list` for kept disks";
  if (storage.available < littleSpace) return failure("disk space", says, remedy);
  if (promised > used + storage.available) return warning("disk space", `${says}, which is more than there is`, remedy);
  return ok("disk space", says);
}

function memory({ config }: Stack, inventory: Inventory): Examined {
  const promised = Object.values(config.projects).reduce((sum, vm) => sum + vm.memory, 0);
  const says = `${formatSize(promised)} promised of ${formatSize(inventory.memory)}`;
  if (promised <= inventory.memory) return ok("memory", says);
  return warning("memory", `${says}: not all VMs can run at once`, "run fewer at once, or give them less `memory`");
}

/** Whether the state and the host have the same VMs. Pure. */
export function examineState(
  { name, host }: Stack,
  inventory: Inventory,
  state: Pick<StackState, "vms" | "removable"> | undefined,
  formerName = name,
): Examined {
  const { domains } = inventory;
  const ours = domains.filter((domain) => isOwnedBy(domain, name) || isOwnedBy(domain, formerName)).map(projectOf);
  if (state === undefined) {
    return ours.length === 0
      ? ok("state", "there is none yet, and no VM")
      : warning(
          "state",
          `there is none here, and the host has ${counted(ours.length, "VM")}`,
          `adopt what is there: project-vm apply --stack ${name}, or pulumi up -s ${name}`,
        );
  }
  const { vms, removable } = state;
  const unmarked = domains.filter(hasLostMark).map(projectOf);
  const gone = vms.filter((vm) => !ours.includes(vm) && !unmarked.includes(vm));
  const unknown = ours.filter((vm) => !vms.includes(vm) && !removable.includes(vm));
  if (gone.length === 0 && unknown.length > 0) {
    const says = `the host has ${unknown.join(", ")} of this stack, which the state has not`;
    return warning("state", says, unknownVmRemedy(name));
  }
  if (gone.length === 0) return ok("state", `it has ${counted(vms.length, "VM")}, all on the host`);
  const bare = gone.filter((vm) => hasLostDisk(inventory, host.settings.storageDir, vm));
  const disks = bare.length > 0 ? `, with the project disk of ${bare.join(", ")}` : "";
  const says = `it has ${gone.join(", ")}, which the host has not: removed there by other means${disks}`;
  // The engine takes disks to be there until a refresh tells it; without one an update fails by them for ever.
  const apply = `project-vm apply --stack ${name}, or pulumi up --refresh -s ${name}`;
  const back = `; what was on a lost disk comes back by a backup, before that: project-vm import <project> <file> --stack ${name}`;
  return failure("state", says, `recreate them, on the disks that were kept: ${apply}${bare.length > 0 ? back : ""}`);
}

const projectOf = ({ name }: DomainFound) => name.slice(namePrefix.length);

/** Whether a project's disk is gone for certain: of a pool that is stopped or gone nothing is known. */
function hasLostDisk(inventory: Inventory, storageDir: string, project: string): boolean {
  const isLookedAt = inventory.pools.some(({ name, active }) => name === poolName(project) && active);
  return isLookedAt && findProject(inventory, storageDir, project).projectDisk === undefined;
}
