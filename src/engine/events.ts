import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { printable } from "../core/printable.ts";
import { decode, readable, sentence, type VmChange, type VmProgress } from "../core/records.ts";

/**
 * The engine warns so at each update until they are cleared: `printPendingOperationsWarning` in its deployment_executor.go. What a
 * guest says may stand in any warning, but not where it begins.
 */
const pendingOperations =
  /^Attempting to deploy or update resources with \d+ pending operations from previous deployment\./;

/** How much of a failure is shown: it ends with the guest's log, whose end says most. */
const shownLines = 40;

/** What an operation of the engine told, apart from what it printed as it went. */
export interface OperationReport {
  /** What changes, in the product's own words, as a preview and an update say them; a line is one that is no record. */
  changes: (VmChange | string)[];
  /** What went wrong, in full. */
  failures: string[];
  /** How many resources are made, changed, replaced or deleted; projects whose lines say nothing may be among theirs. */
  resources: number;
  /** Names of the domains that the state does not have yet. */
  newDomains: string[];
  /** Names of the projects that they belong to; one may be named more than once. */
  projects: string[];
  /** Whether an update that was killed has left operations in the state that it had begun and not ended. */
  isPending: boolean;
}

export const emptyReport = (): OperationReport => ({
  changes: [],
  failures: [],
  resources: 0,
  newDomains: [],
  projects: [],
  isPending: false,
});

/**
 * The projects whose VM the program misses on the host, though the state has it: it was removed by other means. The engine
 * replaces the domain, but takes disks that were removed with it to be there: only a refresh tells it.
 */
export function vanishedVms({ changes, newDomains }: OperationReport): string[] {
  const missed = changes.flatMap((change) =>
    typeof change === "object" && change.kind === "new" ? change.project : [],
  );
  return missed.filter((name) => !newDomains.includes(`${name}-domain`));
}

/**
 * Takes from an event of the engine what its user wants to know: lines of the program and of its commands, warnings,
 * failures. All else is about resources, which no user has written.
 *
 * @param told is added to
 * @returns progress, of which a line is what is no record; what changes is not among it
 */
export function readEvent(
  { diagnosticEvent, summaryEvent, resourcePreEvent }: EngineEvent,
  told: OperationReport,
): (VmProgress | string)[] {
  if (resourcePreEvent) {
    const { op, type, urn, new: wanted, old } = resourcePreEvent.metadata;
    if (op === "create" && type === "libvirt:index/domain:Domain") told.newDomains.push(nameIn(urn));
    const parent = (wanted ?? old)?.parent ?? "";
    if (op !== "same" && isProject(parent)) told.projects.push(nameIn(parent));
  }
  if (summaryEvent) {
    const { same = 0, ...changes } = summaryEvent.resourceChanges;
    told.resources = Object.values(changes).reduce((sum, count) => sum + (count ?? 0), 0);
  }
  if (!diagnosticEvent) return [];
  const { severity, message, ephemeral = false, urn } = diagnosticEvent;
  const lines = plainLines(message);
  // What a step had to say before it failed stands there too.
  if (severity === "error" && !isEcho(message)) told.failures.push(readable(lines.join("\n")));
  if (severity === "warning" && pendingOperations.test(plain(message))) {
    told.isPending = true;
    return [];
  }
  if (severity === "warning") return lines.map((line) => `warning: ${line}`);
  if (severity !== "info") return [];
  // What the program says stays; what its commands say as they go is ephemeral.
  const isChange = !ephemeral && (urn === undefined || isProject(urn));
  // A message is a record as a whole or not at all: a guest's words never begin one.
  const record = decode(lines.join("\n"));
  if (!isChange) return record && "stage" in record ? [record] : lines;
  told.changes.push(...(record && "kind" in record ? [record] : lines));
  return [];
}

const isProject = (urn: string) => urn.includes("::project-vms:index:ProjectVm::");
const nameIn = (urn: string) => urn.split("::").at(-1) ?? "";

/** The engine's own last word on a failure, which says only that there was one. */
const isEcho = (message: string) => /^(update|preview|destroy|refresh) (failed|canceled)\s*$/.test(plain(message));

/** What changes, a line for each. */
export const changeLines = ({ changes }: Pick<OperationReport, "changes">): string[] =>
  changes.map((change) => (typeof change === "string" ? change : sentence(change)));

/** What an update would do, in lines. */
export function describeChanges({ changes, resources }: Pick<OperationReport, "changes" | "resources">): string[] {
  if (changes.length > 0) return changeLines({ changes });
  return [resources > 0 ? "no VM changes; supporting resources will be updated" : "nothing changes"];
}

/** The failures of an operation as one text, each with its last lines. */
export function describeFailures({ failures }: OperationReport): string {
  return failures.map(lastLines).join("\n");
}

function lastLines(failure: string): string {
  const lines = failure.split("\n");
  if (lines.length <= shownLines) return failure;
  const [first, left] = [lines[0], lines.length - shownLines];
  return [first, `  … (${left} lines left out)`, ...lines.slice(1 - shownLines)].join("\n");
}

const plainLines = (message: string) => printable(plain(message)).trimEnd().split("\n").filter(Boolean);

/** Without the tags by which the engine marks colours. */
const plain = (message: string) => message.replaceAll(/<\{%.*?%\}>/g, "");
