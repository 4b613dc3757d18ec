import { posix } from "node:path";
import { type Outline, readOutline } from "../checkout/outline.ts";
import type { ProjectOutput } from "../checkout/outputs.ts";
import { readStackState } from "../checkout/stack-state.ts";
import { factOf, type Issue } from "../core/errors.ts";
import { domainName, hostName, poolName } from "../core/names.ts";
import { ownValue } from "../core/own-value.ts";
import { stages } from "../core/records.ts";
import { shellWord } from "../core/shell-word.ts";
import { detachedDisks, detachedText, ejectedDiskIssue, manualChanges, ownDisks } from "../libvirt/manual-changes.ts";
import { unknownGuestIssue, unknownGuests } from "../libvirt/unknown-guests.ts";
import { virshFor, virshSession } from "../libvirt/virsh.ts";
import type { BackupsFound } from "../project-disks/backup-age.ts";
import type { DiskStats } from "./domstats.ts";
import { findVm, type OwnVm } from "./find-vm.ts";
import { addressesOf, backupOf, diskOf, type KnownOfStack, projectDiskOf, type VmRow } from "./rows.ts";
import { sshConfigOf, sshTargets } from "./ssh-targets.ts";
import { wantedBackups } from "./wanted-backups.ts";

/** A VM as `project-vm status --json` prints it. Keys may be added; none is renamed or taken away. Sizes in bytes. */
export interface VmStatus extends Pick<VmRow, "stack" | "name" | "state" | "inConfig" | "addresses" | "backup"> {
  memory: number;
  cpus: number;
  /** A command that logs in, with room for a command to run behind it. */
  ssh: string;
  /** Its name in its tailnet; null: it is in none. */
  tailnetName: string | null;
  /** Each with its path on the host, what it may grow to, and what it takes up there. */
  disks: { root: DiskStats | null; project: DiskStats | null };
  /** What others did to it, or that it runs unknown to its libvirt: no update works on it before that is put right. Each with its remedy. */
  problems: string[];
  /** The base image that the root disk stands on. */
  image: string | null;
  /** How long it took to become ready when it was made, in seconds, with each stage's part, in their order. */
  secondsToReady: number | null;
  stages: Record<string, number>;
}

/** What the state and the files for SSH clients know of a VM that its host does not. */
export interface KnownOf {
  output: ProjectOutput | undefined;
  /** What the stack's files for SSH clients were made from. */
  targets: KnownOfStack["targets"];
  sshConfig: string;
  image: string | undefined;
  /** undefined: could not be looked at, or none are wanted. */
  backups: BackupsFound | undefined;
  /** That it runs though its libvirt takes it for off. */
  unknown?: Issue[];
}

/**
 * All that is known of a VM, from its host and from the stack's state; the guest is not asked.
 *
 * @throws UserError when there is no such VM
 */
export async function statusOf(stack: string, name: string, folder: string): Promise<VmStatus> {
  const outline = await readOutline(stack, folder);
  const [own, state, image, backups] = await Promise.all([
    findVm(stack, name, folder),
    readStackState(outline.root, stack),
    imageUnder(outline.host.uri, name),
    wantedBackups({ ...outline, projects: pick(outline.projects, name) }),
  ]);
  const output = ownValue(state?.outputs, name);
  const targets = sshTargets(outline);
  const guests = own.vm.state === "shut off" ? await unknownGuests(virshFor(outline.host.uri)) : [];
  const unknown = guests.filter(({ domain }) => domain === domainName(name)).map(unknownGuestIssue);
  return vmStatus(own, { output, targets, sshConfig: sshConfigOf(outline), image, backups, unknown });
}

/** Puts together what is known of a VM. Pure. */
export function vmStatus({ outline, vm }: OwnVm, known: KnownOf): VmStatus {
  const { output, targets, sshConfig, image, backups, unknown = [] } = known;
  const { stack, projects } = outline;
  const { name, state, memory, cpus } = vm;
  return {
    stack,
    name,
    state,
    inConfig: ownValue(projects, name) !== undefined,
    memory,
    cpus,
    addresses: addressesOf(vm, targets),
    backup: backupOf(name, ownValue(projects, name) ?? {}, backups),
    ssh: `ssh -F ${shellWord(sshConfig)} ${hostName(name)}`,
    tailnetName: output?.tailnetName ?? null,
    disks: {
      root: diskOf(vm, "disk.qcow2", "vda") ?? null,
      project: projectDiskOf(vm) ?? null,
    },
    problems: [...unknown, ...problemsOf({ outline, vm })].map((issue) => `${factOf(issue)}; ${issue.remedy}`),
    image: image ?? output?.image ?? null,
    secondsToReady: output?.secondsToReady ?? null,
    stages: inOrder(output?.stages),
  };
}

/** What others did to a VM, as far as its running or, where it is off, next disks tell. Pure. */
export function problemsOf({ outline: { stack, host }, vm }: OwnVm): Issue[] {
  // Of one that is off, libvirt does not tell where a disk is that its definition names as a volume: it may be any of ours.
  const known = vm.disks.filter(({ path }) => path !== "" || vm.state !== "shut off");
  const disks = known.map(({ target = "", path }) => ({ target, source: path, format: "", chain: [] }));
  const devices = [{ disks, nics: [], others: [] }];
  const place = { uri: host.uri, project: vm.name, stack };
  const own = ownDisks(host.storageDir, vm.name);
  const missing = known.length < vm.disks.length ? [] : detachedDisks(vm.name, own, devices);
  const lacking = missing.map((target) => {
    const file = own[target] ?? "";
    if (vm.state !== "shut off") return ejectedDiskIssue(target, file, place);
    const remedy = `attach it again: project-vm apply --stack ${stack}`;
    return { path: domainName(vm.name), rule: detachedText(target, file), remedy };
  });
  return [...manualChanges({ devices, state: vm.state }, host.storageDir, place), ...lacking];
}

const pick = (projects: Outline["projects"], name: string) =>
  Object.fromEntries(Object.entries(projects).filter(([project]) => project === name));

/** A state has its keys by the alphabet. */
const inOrder = (taken: VmStatus["stages"] = {}) =>
  Object.fromEntries(stages.flatMap((stage) => (taken[stage] === undefined ? [] : [[stage, taken[stage]]])));

/** The base image that a root disk stands on, by its name; it may have been recreated since the last update of the state. */
async function imageUnder(uri: string, name: string): Promise<string | undefined> {
  const question = ["vol-dumpxml", "disk.qcow2", "--pool", poolName(name)];
  // That the host does not answer is said by who asks it for the VM.
  const [answer] = await virshSession(uri, [question]).catch(() => []);
  const path = /<backingStore>\s*<path>(.*?)<\/path>/.exec(answer?.output ?? "")?.[1];
  return path && posix.basename(path);
}
