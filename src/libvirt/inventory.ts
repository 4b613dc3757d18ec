import { totalmem } from "node:os";
import path from "node:path";
import type { Firmware } from "../config/settings.ts";
import { type DomainDevices, parseDevices } from "./domain-devices.ts";
import { firmwaresIn, parseFilterNames, parseHypervisorVersion, parseMemory } from "./inventory-text.ts";
import { kvmWorks } from "./kvm.ts";
import {
  type DiskSource,
  type DomainMarks,
  nicOf,
  type PoolXml,
  parseDomain,
  parseNetwork,
  parsePool,
  parseVolume,
  type Reservation,
} from "./libvirt-xml.ts";
import { parseVolumes } from "./pool-volumes.ts";
import { localStorage, poolStorage, type StorageFound } from "./storage.ts";
import { hostUnreachable, requireAgentKeys } from "./unreachable.ts";
import { isLocal, withVirshSession } from "./virsh.ts";
import {
  type Ask,
  type BatchAnswer,
  connected,
  isUnknownName,
  isVolumeGone,
  unanswered,
  whatIsThere,
} from "./virsh-answers.ts";
import { VirshError } from "./virsh-error.ts";

/** All that is asked of a host before anything is done to it. Sizes in bytes. */
export interface Inventory {
  uri: string;
  memory: number;
  cpus: number;
  /** What VMs can boot by there. */
  firmwares: Firmware[];
  /** What new VMs run on. `emulated` is set by the config, or KVM does not work there. */
  virtualization: "kvm" | "emulated";
  /** @example "QEMU 7.2.22" */
  hypervisorVersion: string;
  /** Of storageDir's file system; undefined where it cannot be known (a remote host without our pool). */
  storage: StorageFound | undefined;
  pools: PoolFound[];
  networks: NetworkFound[];
  domains: DomainFound[];
  /** Names of its network filters. */
  filters?: string[];
  /** Why libvirt there cannot filter what VMs send. */
  filterProblem?: string;
}

export interface PoolFound {
  name: string;
  uuid: string;
  type: string;
  path: string;
  active: boolean;
  autostart: boolean;
  capacity: number;
  available: number;
  /** Only of active pools under storageDir. */
  volumes: VolumeFound[];
  /** Names of volumes that libvirt lists and tells nothing of, for another reason than that the file is gone. */
  unread?: string[];
}

export interface VolumeFound {
  name: string;
  path: string;
  capacity: number;
  allocation: number;
  format: string;
  backingPath?: string;
  /** When the file was changed last, in seconds since the epoch. */
  modified?: number;
  /** The file's rights. @example 0o600 */
  mode?: number;
}

export interface NetworkFound {
  name: string;
  uuid: string;
  active: boolean;
  autostart: boolean;
  dnsDomain?: string;
  bridge?: string;
  cidr?: string;
  stp?: boolean;
  reservations?: Reservation[];
}

export interface DomainFound {
  name: string;
  uuid: string;
  /** "running", "paused", "shut off" or, for the rare rest, "other". */
  state: string;
  autostart: boolean;
  description?: string;
  /** `kvm` or, emulated, `qemu`. */
  type: string;
  memory: number;
  cpus: number;
  firmware: Firmware;
  /** The libvirt network of its first interface. */
  network?: string;
  /** What this product noted in it when it made it. */
  marks: DomainMarks;
  /** Also of those that it has after its next start only: its guest may have ejected one. */
  diskPaths: string[];
  /** What it has now and, while it runs, what it is defined with. */
  devices?: DomainDevices[];
  /** Whether its memory was saved when it was stopped (`virsh managedsave`). */
  hasSavedMemory?: boolean;
  /** Whether it runs without being defined (`virsh undefine`): it is gone when it stops. */
  isTransient?: boolean;
}

/** What of a host's settings the inventory needs. */
export interface InventoryHost {
  uri: string;
  storageDir: string;
  virtualization: "auto" | "kvm" | "emulated";
}

/** Seconds for the whole look; a host with hundreds of VMs takes one. */
const timeLimit = 60;

/** What is asked first; the answers say what to ask then. */
const overview = {
  version: ["version"],
  node: ["nodeinfo"],
  // Whether its libvirt offers KVM. That it does is no proof, and only asked where nothing better can be had.
  kvm: ["domcapabilities", "--virttype", "kvm"],
  // What there is of firmware; not every driver of libvirt knows.
  capabilities: ["domcapabilities"],
  running: ["list", "--uuid", "--state-running"],
  paused: ["list", "--uuid", "--state-paused"],
  shutOff: ["list", "--all", "--uuid", "--state-shutoff"],
  domains: ["list", "--all", "--uuid"],
  savedDomains: ["list", "--all", "--uuid", "--with-managed-save"],
  transientDomains: ["list", "--all", "--uuid", "--transient"],
  autostartDomains: ["list", "--all", "--autostart", "--uuid"],
  pools: ["pool-list", "--all", "--uuid"],
  activePools: ["pool-list", "--uuid"],
  autostartPools: ["pool-list", "--all", "--autostart", "--uuid"],
  networks: ["net-list", "--all", "--uuid"],
  activeNetworks: ["net-list", "--uuid"],
  autostartNetworks: ["net-list", "--all", "--autostart", "--uuid"],
  // Not every libvirt has that driver.
  filters: ["nwfilter-list"],
};

type Overview = Record<keyof typeof overview, BatchAnswer>;

/**
 * Looks at a host once, over its libvirt: changes nothing there, and one virsh process asks it all.
 *
 * @throws {UserError} naming URI, reason and remedy when the host is not reachable, within seconds
 * @example const { domains } = await takeInventory(config.host);
 */
export async function takeInventory(host: InventoryHost): Promise<Inventory> {
  await requireAgentKeys(host.uri);
  try {
    return await withVirshSession(host.uri, (ask) => look(host, connected(ask)), timeLimit);
  } catch (error) {
    throw error instanceof VirshError ? hostUnreachable(host.uri, error.reason) : error;
  }
}

async function look(host: InventoryHost, ask: Ask): Promise<Inventory> {
  const seen = await askOverview(ask);
  const xmls = await dumpAll(ask, seen);
  const pools = await withVolumes(host.storageDir, findPools(xmls.pools.map(outputOf), seen), ask);
  const local = isLocal(host.uri);
  return {
    uri: host.uri,
    memory: local ? totalmem() : parseMemory(seen.node.output),
    cpus: Number(/^CPU\(s\):\s*(\d+)/m.exec(seen.node.output)?.[1]),
    firmwares: firmwaresIn(seen.capabilities.output),
    virtualization: await virtualizationOf(host, seen.kvm.ok),
    hypervisorVersion: parseHypervisorVersion(seen.version.output),
    storage: local ? await localStorage(host.storageDir) : poolStorage(host.storageDir, pools),
    pools,
    networks: findNetworks(xmls.networks.map(outputOf), seen),
    domains: findDomains(xmls, seen, pools),
    ...(seen.filters.ok ? { filters: parseFilterNames(seen.filters.output) } : { filterProblem: seen.filters.error }),
  };
}

async function askOverview(ask: Ask): Promise<Overview> {
  const names = Object.keys(overview) as (keyof Overview)[];
  const answers = await ask(names.map((name) => overview[name]));
  const seen = Object.fromEntries(names.map((name, i) => [name, answers[i]])) as Overview;
  const mayFail = [seen.kvm, seen.capabilities, seen.filters];
  const failed = answers.find((answer) => !answer.ok && !mayFail.includes(answer));
  if (failed) throw unanswered(failed);
  return seen;
}

/** The XML of all that is there; `defined` is what domains that are on will be after their next start. */
type Dumps = Record<"domains" | "defined" | "networks" | "pools", BatchAnswer[]>;

/** One question for all, since each starts a virsh. */
async function dumpAll(ask: Ask, seen: Overview): Promise<Dumps> {
  const off = new Set(lines(seen.shutOff));
  const questions: Record<keyof Dumps, string[][]> = {
    domains: lines(seen.domains).map((id) => ["dumpxml", id]),
    defined: lines(seen.domains).flatMap((id) => (off.has(id) ? [] : [["dumpxml", id, "--inactive"]])),
    networks: lines(seen.networks).map((id) => ["net-dumpxml", id]),
    pools: lines(seen.pools).map((id) => ["pool-dumpxml", id]),
  };
  const answers = await ask(Object.values(questions).flat());
  const of = ({ length }: string[][]) => whatIsThere(answers.splice(0, length));
  return {
    domains: of(questions.domains),
    defined: of(questions.defined),
    networks: of(questions.networks),
    pools: of(questions.pools),
  };
}

async function virtualizationOf(host: InventoryHost, offered: boolean): Promise<"kvm" | "emulated"> {
  if (host.virtualization === "emulated") return "emulated";
  // Set by hand, it overrules the test guest; but where libvirt has no KVM there is none.
  if (host.virtualization === "kvm" || !isLocal(host.uri) || !offered) return offered ? "kvm" : "emulated";
  const verdict = await kvmWorks();
  // A user who may not open /dev/kvm cannot try; libvirt, which is root, can.
  return verdict.works || verdict.mayNotTry ? "kvm" : "emulated";
}

function findPools(xmls: string[], seen: Overview): Omit<PoolFound, "volumes">[] {
  const active = new Set(lines(seen.activePools));
  const autostart = new Set(lines(seen.autostartPools));
  return xmls
    .map(parsePool)
    .map((pool) => ({ ...pool, active: active.has(pool.uuid), autostart: autostart.has(pool.uuid) }));
}

async function withVolumes(storageDir: string, pools: Omit<PoolFound, "volumes">[], ask: Ask): Promise<PoolFound[]> {
  const ours = pools.filter((pool) => pool.active && isBelow(storageDir, pool.path));
  const list = async () => whatIsThere(await ask(ours.map((pool) => ["vol-list", pool.uuid])));
  const questions = ({ command: [, pool = ""], output }: BatchAnswer) =>
    [...parseVolumes(output).keys()].map((name) => ["vol-dumpxml", name, "--pool", pool]);
  const lists = await list();
  const answers = await ask(lists.flatMap(questions));
  const again = answers.some(isUnknownName) ? await list() : [];
  const isOff = (pool: string, name: string) =>
    again.some(({ command, output }) => command[1] === pool && !parseVolumes(output).has(name));
  // What was stopped since it was listed has volumes like any other, but they cannot be seen.
  const isStopped = (uuid: string) =>
    ours.some((pool) => pool.uuid === uuid) && !lists.some(({ command }) => command[1] === uuid);
  return pools.map((pool) => {
    if (isStopped(pool.uuid)) return { ...pool, active: false, volumes: [] };
    const told = answers.filter(({ command }) => command[3] === pool.uuid);
    const unread = told.flatMap((answer) => {
      const name = answer.command[1] ?? "";
      return answer.ok || isVolumeGone(answer, name, !isOff(pool.uuid, name)) ? [] : [name];
    });
    const volumes = told.filter(({ ok }) => ok).map(({ output }) => parseVolume(output));
    return { ...pool, volumes, ...(unread.length > 0 ? { unread } : {}) };
  });
}

function findNetworks(xmls: string[], seen: Overview): NetworkFound[] {
  const active = new Set(lines(seen.activeNetworks));
  const autostart = new Set(lines(seen.autostartNetworks));
  return xmls
    .map(parseNetwork)
    .map((net) => ({ ...net, active: active.has(net.uuid), autostart: autostart.has(net.uuid) }));
}

function findDomains({ domains, defined }: Dumps, seen: Overview, pools: PoolXml[]): DomainFound[] {
  const states: [string, Set<string>][] = [
    ["running", new Set(lines(seen.running))],
    ["paused", new Set(lines(seen.paused))],
    ["shut off", new Set(lines(seen.shutOff))],
  ];
  const [autostart, saved, transient] = [seen.autostartDomains, seen.savedDomains, seen.transientDomains].map(
    (list) => new Set(lines(list)),
  );
  return domains.map((dump) => {
    const now = parseDomain(dump.output);
    const { disks: _, network: __, ...domain } = now;
    const definitions = defined.filter(({ command }) => command[1] === dump.command[1]);
    const parsed = [now, ...definitions.map(({ output }) => parseDomain(output))];
    return {
      ...domain,
      ...nicOf(parsed),
      autostart: autostart?.has(domain.uuid) ?? false,
      state: states.find(([, uuids]) => uuids.has(domain.uuid))?.[0] ?? "other",
      diskPaths: [...new Set(parsed.flatMap(({ disks }) => disks.map((disk) => diskPath(disk, pools))))],
      devices: [dump, ...definitions].map(outputOf).map(parseDevices),
      ...(saved?.has(domain.uuid) ? { hasSavedMemory: true } : {}),
      ...(transient?.has(domain.uuid) ? { isTransient: true } : {}),
    };
  });
}

function diskPath(disk: DiskSource, pools: PoolXml[]): string {
  if ("path" in disk) return disk.path;
  return path.join(pools.find(({ name }) => name === disk.pool)?.path ?? disk.pool, disk.volume);
}

/** Whether a path is a folder or something in it. */
function isBelow(folder: string, file: string): boolean {
  return file !== "" && !path.relative(folder, file).startsWith("..");
}

const outputOf = ({ output }: BatchAnswer) => output;

const lines = ({ output }: BatchAnswer) =>
  output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
