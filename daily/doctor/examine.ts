import { loadStack, type Stack } from "../../cli/stack.ts";
import { counted } from "../../config/counted.ts";
import { UserError } from "../../config/errors.ts";
import { takeInventory } from "../../host/inventory.ts";
import { shellFor } from "../../host/shell.ts";
import { virshFor } from "../../host/virsh.ts";
import { imageUsage } from "../../images/usage.ts";
import { readStackState } from "../stack-state.ts";
import { examineEngine } from "./engine.ts";
import { type Examined, type Finding, failure, ok } from "./finding.ts";
import { examineHost, examineState } from "./host.ts";
import { examineImages } from "./images.ts";
import { examineMachine } from "./machine.ts";

type Log = (line: string) => void;

/**
 * Examines a stack, its host and this machine, and changes nothing, unless it is asked to mend what can be mended without risk.
 *
 * @throws UserError when there is no such stack
 */
export async function examine(name: string, folder: string, fix: boolean, log: Log): Promise<Finding[]> {
  const stack = loadStack(name, folder);
  const [engine, host] = await Promise.all([examineEngine(stack.root, name, log), examineHostOf(stack, log)]);
  const findings: Finding[] = [];
  for (const { mend, ...finding } of [...host, ...engine]) {
    if (fix && mend) await mend();
    findings.push(fix && mend ? { ...finding, fix: "fixed" } : finding);
  }
  return findings;
}

async function examineHostOf(stack: Stack, log: Log): Promise<Examined[]> {
  const { settings } = stack.host;
  const virsh = virshFor(settings.uri);
  const read = ok(
    "config",
    `${stack.file} is in order: ${counted(Object.keys(stack.config.projects).length, "project")}`,
  );
  try {
    const inventory = await takeInventory(settings);
    const state = await readStackState(stack.root, stack.name);
    const shell = shellFor(settings.uri);
    const usage = imageUsage(inventory, settings.storageDir);
    const [machine, images] = await Promise.all([
      examineMachine(inventory, settings.storageDir, shell),
      examineImages({ stack: stack.name, host: settings, usage, shell }, log),
    ]);
    const host = [...examineHost(stack, inventory, virsh), ...images, ...machine];
    return [read, ...host, examineState(stack, inventory, state?.vms)];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [issue] = error.issues;
    return [read, failure("libvirt", issue ? `${settings.uri}: ${issue.rule}` : error.message, issue?.remedy ?? "")];
  }
}
