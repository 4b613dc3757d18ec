import { checkpointFile } from "../../checkout/checkpoint.ts";
import { findStackFile, loadStack, type Stack } from "../../checkout/stack.ts";
import { nameBefore, readStackState } from "../../checkout/stack-state.ts";
import { counted } from "../../core/counted.ts";
import { factOf, UserError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { describeMoved, embeddedHosts, hostMovedFrom, lostHosts, movedRemedy } from "../../embedded-host/lost-hosts.ts";
import { basePool, imageUsage } from "../../images/usage.ts";
import { embeddedHostFor } from "../../libvirt/embedded-layout.ts";
import { takeInventory } from "../../libvirt/inventory.ts";
import { shellFor } from "../../libvirt/shell.ts";
import { virshFor } from "../../libvirt/virsh.ts";
import { examineBackups } from "./backups.ts";
import { examineEmbeddedHost } from "./embedded.ts";
import { examineEngine } from "./engine.ts";
import { type Examined, type Finding, failure, mended, ok, warning } from "./finding.ts";
import { examineBalloons, examineUnknownGuests } from "./guests.ts";
import { examineHost, examineState } from "./host.ts";
import { examineImages } from "./images.ts";
import { examineLostHosts, examineMachine } from "./machine.ts";
import { examineStorage } from "./storage.ts";

/**
 * Examines a stack, its host and this machine, and changes nothing, unless it is asked to mend what can be mended without risk.
 *
 * @throws UserError when there is no such stack
 */
export async function examine(name: string, folder: string, fix: boolean, log: Log): Promise<Finding[]> {
  const { root } = findStackFile(name, folder);
  const [engine, rest] = await Promise.all([examineEngine(root, name, log), examineStack(name, root, log)]);
  const findings: Finding[] = [];
  for (const { mend, ...finding } of [...rest, ...engine]) {
    findings.push(fix && mend ? await mended(finding, mend) : finding);
  }
  return findings;
}

/** A config with mistakes may name another host than it should: that one is not looked at. */
async function examineStack(name: string, root: string, log: Log): Promise<Examined[]> {
  try {
    return await examineHostOf(loadStack(name, root), log);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (error.issues.length === 0) return [failure("config", error.message, "")];
    return error.issues.map((issue) => failure("config", factOf(issue), issue.remedy));
  }
}

async function examineHostOf(stack: Stack, log: Log): Promise<Examined[]> {
  const { settings } = stack.host;
  const virsh = virshFor(settings.uri);
  const read = ok(
    "config",
    `${stack.file} is in order: ${counted(Object.keys(stack.config.projects).length, "project")}`,
  );
  const state = await readStackState(stack.root, stack.name);
  const lost = lostHosts();
  const here = { dir: embeddedHostFor(stack.root).dir, uri: settings.uri };
  const moved = hostMovedFrom(embeddedHosts(), state?.uri, here);
  const movedAway = moved && failure("state", describeMoved(moved), movedRemedy(moved));
  try {
    const inventory = await takeInventory(settings);
    const shell = shellFor(settings.uri);
    const usage = imageUsage(inventory, settings.storageDir);
    const [machine, storage, images, backups, unknown] = await Promise.all([
      examineMachine(inventory, settings.storageDir, shell),
      examineStorage(inventory, settings.storageDir, shell),
      examineImages({ stack: stack.name, host: settings, pool: basePool(inventory), usage, shell }, log),
      examineBackups(stack),
      examineUnknownGuests(virsh),
    ]);
    const unread = state === undefined && (await examineUnread(stack));
    const inPlace = movedAway ?? (unread || examineState(stack, inventory, state, state?.formerName));
    const host = [
      ...examineHost(stack, inventory, virsh, await nameBefore(stack.root, stack.name, state)),
      ...examineBalloons(stack.name, inventory, virsh),
      ...unknown,
      ...images,
      ...backups,
      ...examineEmbeddedHost(stack.root, settings.uri, log),
      ...machine,
      ...storage,
    ];
    return [read, ...host, ...examineLostHosts(lost), inPlace];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [issue] = error.issues;
    const ill = failure("libvirt", issue ? `${settings.uri}: ${issue.rule}` : error.message, issue?.remedy ?? "");
    // A host that does not run is no fault where the VMs are on another.
    return [read, movedAway ?? ill, ...examineLostHosts(lost)];
  }
}

/** A state that is there and was not read is not one that is lost. */
export async function examineUnread({ root, name }: Pick<Stack, "root" | "name">): Promise<Examined | undefined> {
  const found = await checkpointFile(root, name);
  if (found === undefined) return undefined;
  const remedy = `see \`state files\`, and what the engine reads of it: pulumi stack -s ${name}`;
  return warning("state", `not known: ${found.file} could not be read`, remedy);
}
