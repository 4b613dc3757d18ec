import { posix } from "node:path";
import { UserError } from "../core/errors.ts";
import { namePrefix } from "../core/names.ts";
import { type FileSeen, isSame, lookBeneath, rawAmong } from "./backing-files.ts";
import { parseDevices } from "./domain-devices.ts";
import { answered, type Found, lookAtPools, type OwnFiles, type Suspect } from "./pool-look.ts";
import { namesIn } from "./pool-volumes.ts";
import type { Shell } from "./shell.ts";
import type { BatchVirsh } from "./virsh.ts";
import type { Ask, BatchAnswer } from "./virsh-answers.ts";
import { connected } from "./virsh-answers.ts";

/** What else uses a file of a project's, or may. */
export interface DiskUser {
  /** Whether it is certain. Nothing is deleted that holds data, unless it is certain that nothing uses it. */
  isKnown: boolean;
  /** The project's file; undefined: it may be any of them. */
  file?: string;
  /** @example "the domain rescue uses it" */
  fact: string;
  /** What stands on the file: from the last one down to the one that does so itself. */
  overlays?: string[];
}

/** What a VM has by this program. */
const isMadeForVm = (domain: string, file: string) =>
  domain.startsWith(namePrefix) && ["disk.qcow2", "seed.iso", "project.qcow2"].includes(posix.basename(file));

/**
 * What else uses files of a project's: another domain that has one, or an overlay of it, now or after its next start; a volume in a
 * pool whose backing file it is, a clone that no domain has for one. Files are compared by what they are, behind all links. libvirt is
 * asked four or five times, and the host's shell once or twice, however many files, domains and volumes there are; that each takes a few
 * milliseconds for a domain or volume, and some ten for an image that stands on another.
 *
 * @throws UserError when libvirt does not list what there is
 */
export async function usersOfFiles(virsh: BatchVirsh, shell: Shell, own: OwnFiles): Promise<DiskUser[]> {
  const ask = connected(virsh.ask);
  const pools = await lookAtPools(virsh, ask, own);
  const domains = await lookAtDomains(ask, own, pools.paths);
  const unknown = [...domains.unknown, ...pools.unknown].map((fact): DiskUser => ({ isKnown: false, fact }));
  const volumes = pools.suspects.flatMap(({ volume }) => volume ?? []);
  // Where that cannot be looked at, nor can what stands on what: then that is what is not known.
  const raw = await rawAmong(shell, volumes, domains.raws).catch(() => new Set<string>());
  const standing = pools.suspects.filter(({ volume = "" }) => !raw.has(volume));
  const suspects = [...domains.suspects, ...standing].filter(({ isVms }) => !(own.onlyAbove && isVms));
  return [...(await compare(shell, own.files, suspects)), ...unknown];
}

/** What keeps a file from being deleted that holds data: whatever uses it, or may. */
export const possibleUserOf = (users: DiskUser[], file: string) =>
  knownUserOf(users, file) ?? users.find((user) => !user.isKnown && [undefined, file].includes(user.file))?.fact;

/** What keeps a file from being deleted that can be made again: whatever is certain to use it. */
export const knownUserOf = (users: DiskUser[], file: string) =>
  users.find((user) => user.isKnown && user.file === file)?.fact;

/**
 * Looks right before a file of a project's is changed beneath its users, or deleted to be made again. What is only not known is no
 * reason to refuse that: a pool of ISO images may be stopped.
 *
 * @param title of the error
 * @throws UserError when something else is certain to use the file
 */
export async function requireUnused(
  virsh: BatchVirsh,
  shell: Shell,
  { domain, pool }: Pick<OwnFiles, "domain" | "pool">,
  path: string,
  title: string,
): Promise<void> {
  const user = knownUserOf(await usersOfFiles(virsh, shell, { domain, pool, files: [path] }), path);
  if (user === undefined) return;
  const rule = `must not be used by anything else, but ${user}`;
  // To have an image stand alone is to give its owner what is on ours: whoever may not read that can lay one on it.
  const copy = "sudo -u <owner> qemu-img convert -O qcow2";
  const remedy = `take it from that domain; remove an image that stands on it, or have its owner copy that elsewhere first: ${copy}`;
  throw new UserError(title, [{ path, rule, remedy }]);
}

/** The suspects that are ours, or stand on ours; and those of which it cannot be known. */
async function compare(shell: Shell, files: string[], suspects: Suspect[]): Promise<DiskUser[]> {
  if (suspects.length === 0) return [];
  const all = [...files.map((path) => ({ path, format: "raw" })), ...suspects];
  const chains = await lookBeneath(shell, all).catch((error: Error) => error);
  if (chains instanceof Error) {
    // What they are called is known all the same.
    const fact = `whether anything stands on it is not known: ${chains.message}`;
    const named = files.map((path) => ({ path }));
    return [...suspects.flatMap((one) => usersIn(named, one, [])), { isKnown: false, fact }];
  }
  const ours = chains.splice(0, files.length).map(([seen], i): FileSeen => ({ path: files[i] as string, ...seen }));
  return suspects.flatMap((one, i) => usersIn(ours, one, chains[i] ?? []));
}

function usersIn(ours: FileSeen[], { path, volume, same, above, isVms }: Suspect, chain: FileSeen[]): DiskUser[] {
  const seen = chain.length > 0 ? chain : [{ path }];
  const known = ours.flatMap((own): DiskUser[] => {
    const at = seen.findIndex((below) => isSame(own, below));
    if (at < 0) return [];
    const overlays = [...(volume === undefined ? [] : [volume]), ...seen.slice(0, at).map((one) => one.path)];
    return [{ isKnown: true, file: own.path, fact: at === 0 ? same : above, overlays }];
  });
  const isRemoved = (file: FileSeen) => isVms === true && file.path === path && file.isMissing === true;
  const end = chain.find((file) => file.unknown !== undefined && !isRemoved(file));
  const where = end === undefined || end.path === path ? "" : `${end.path}: `;
  const unseen = ours.flatMap((own): DiskUser[] => {
    if (own.id !== undefined || chain.every(({ id }) => id === undefined)) return [];
    return [
      {
        isKnown: false,
        file: own.path,
        fact: `whether ${path} is the same file, or stands on it, is not known: ours cannot be looked at`,
      },
    ];
  });
  const unknown = `whether ${path} stands on it is not known: ${where}${end?.unknown}`;
  return [...known, ...(end ? [{ isKnown: false, fact: unknown }] : []), ...unseen];
}

/** The disks of all other domains, and what any domain has as raw. */
async function lookAtDomains(ask: Ask, own: OwnFiles, paths: Map<string, string>): Promise<Found & { raws: string[] }> {
  const [list] = await ask([["list", "--all", "--name"]]);
  const views = [[], ["--inactive"]];
  const answers = await ask(namesIn(answered(list)).flatMap((name) => views.map((view) => ["dumpxml", name, ...view])));
  const isOwn = (domain: string | undefined) => domain === own.domain;
  const others = answers.filter(({ command }) => !isOwn(command[1]));
  const failed = await stillThere(ask, ["list", "--all", "--name"], others);
  const found: Found & { raws: string[] } = { suspects: [], unknown: [], raws: [] };
  for (const { command, error } of failed)
    found.unknown.push(`whether the domain ${command[1]} uses it is not known: ${error}`);
  const disks = answers.flatMap(({ ok, command, output }) =>
    ok ? parseDevices(output).disks.map((disk) => ({ ...disk, domain: command[1] ?? "" })) : [],
  );
  const volumes = disks.flatMap(({ source, chain }) => [source, ...chain]).filter(isVolume);
  const places = new Map([...(await pathsOf(ask, volumes, paths)), ...ownVolumes(own)]);
  for (const { domain, source, chain, format } of disks)
    for (const [i, name] of [source, ...chain].entries()) {
      if (name === "") continue;
      const path = isVolume(name) ? places.get(name) : name;
      if (path !== undefined && i === 0 && format === "raw") found.raws.push(path);
      if (isOwn(domain)) continue;
      const same = `the domain ${domain} uses it`;
      const above = `${path} stands on it`;
      const as = i === 0 ? format || "raw" : "raw";
      if (path !== undefined)
        found.suspects.push({ path, format: as, isVms: i === 0 && isMadeForVm(domain, name), same, above });
      else
        found.unknown.push(`whether the domain ${domain} uses it is not known: where ${name} is, libvirt does not say`);
    }
  return found;
}

/** A disk may be named by pool and volume. */
const isVolume = (source: string) => source !== "" && !posix.isAbsolute(source);

const ownVolumes = ({ pool, files }: OwnFiles) =>
  files.map((file): [string, string] => [`${pool}/${posix.basename(file)}`, file]);

/** Where volumes are, by `<pool>/<volume>`; those that libvirt does not tell of are not among them. */
async function pathsOf(ask: Ask, volumes: string[], known: Map<string, string>): Promise<Map<string, string>> {
  const others = [...new Set(volumes)].filter((name) => !known.has(name));
  if (others.length === 0) return known;
  const slash = (name: string) => name.indexOf("/");
  const answers = await ask(
    others.map((name) => ["vol-path", name.slice(slash(name) + 1), "--pool", name.slice(0, slash(name))]),
  );
  const told = answers.flatMap(({ ok, output }, i): [string, string][] => (ok ? [[others[i] ?? "", output]] : []));
  return new Map([...known, ...told]);
}

/** The failed answers about what is on a list still: what was removed meanwhile uses nothing. */
async function stillThere(ask: Ask, list: string[], answers: BatchAnswer[]): Promise<BatchAnswer[]> {
  const failed = answers.filter(({ ok }) => !ok);
  if (failed.length === 0) return [];
  const [again] = await ask([list]);
  const left = namesIn(answered(again));
  return failed.filter(({ command: [, name = ""] }) => left.includes(name));
}
