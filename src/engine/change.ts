import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ensureSshKey } from "../checkout/checkout.ts";
import { StackLocked } from "../checkout/locked-stack.ts";
import { requireText } from "../checkout/read-stack-file.ts";
import { localDir } from "../checkout/resolve.ts";
import { writeWhole } from "../checkout/stack-file.ts";
import type { StackConfig } from "../config/parse.ts";
import { UserError } from "../core/errors.ts";
import { ensureHostRuns } from "../embedded-host/embedded.ts";
import { embeddedHostFor } from "../libvirt/embedded-layout.ts";
import { Engine, type Log } from "./engine.ts";
import { type OperationReport, vanishedVms } from "./events.ts";
import { Interrupted, withInterrupts } from "./interrupts.ts";
import { inTurn } from "./turn.ts";

/** A stack whose file and VMs are changed. */
export interface StackPlace {
  name: string;
  /** Absolute path of the checkout. */
  root: string;
  /** Its file, as errors name it. */
  file: string;
  /** Whether its VMs are on the checkout's embedded host. */
  isEmbedded: boolean;
  /** Whether the stack may be begun in a backend that is not the checkout's own. */
  mayBeginElsewhere: boolean;
}

/** What of a stack a change needs to know. */
export function placeOf(
  { name, root, file, config }: Pick<StackPlace, "name" | "root" | "file"> & { config: StackConfig },
  mayBeginElsewhere = false,
): StackPlace {
  return { name, root, file, isEmbedded: config.host === undefined, mayBeginElsewhere };
}

/** A change of a stack: of its file, and then of its VMs. */
export interface StackChange {
  /** The text of the stack's file as it is to be. It is given what is there when it is this change's turn. */
  edit: (text: string) => string;
  /** Is given what an update would do, and says whether it shall be done. */
  confirm: (told: OperationReport) => Promise<boolean>;
}

/**
 * Changes a stack: tries the new text, asks, writes it, applies it. Until it is confirmed, and when the trial fails, the
 * stack's file is not touched. One change at a time; another one waits.
 *
 * @returns the engine that did it; undefined when it was not confirmed
 * @throws UserError with what went wrong; what was confirmed stays in the file then, for the next update to finish
 */
export async function changeStack(stack: StackPlace, change: StackChange, log: Log): Promise<Engine | undefined> {
  const engine = new Engine(stack.root, stack.name, log, stack.mayBeginElsewhere);
  const progress = { isWritten: false };
  const work = () => withInterrupts(engine.pulumi, log, () => tryThenApply(stack, change, engine, progress, log));
  try {
    return await inTurn(stack, log, work);
  } catch (error) {
    throw withWhatIsLeft(error, stack, progress.isWritten);
  }
}

async function tryThenApply(
  stack: StackPlace,
  change: StackChange,
  engine: Engine,
  progress: { isWritten: boolean },
  log: Log,
): Promise<Engine | undefined> {
  await prepareHost(stack, log);
  // Before its text is read: a stack that is begun notes its salt there.
  await engine.select();
  const file = path.join(stack.root, stack.file);
  const text = requireText(readFileSync(file, "utf8"), stack.file);
  const wanted = change.edit(text);
  const told = await tryOut(engine, stack, wanted);
  if (!(await change.confirm(told))) return undefined;
  if (readFileSync(file, "utf8") !== text) throw changedMeanwhile(stack.file);
  if (wanted !== text) writeWhole(file, wanted);
  progress.isWritten = true;
  try {
    await engine.up(vanishedVms(told).length > 0);
    return engine;
  } catch (error) {
    // Nothing was begun.
    if (error instanceof StackLocked && readFileSync(file, "utf8") === wanted) writeWhole(file, text);
    throw error;
  }
}

async function prepareHost({ root, isEmbedded }: StackPlace, log: Log): Promise<void> {
  if (!isEmbedded) return;
  await ensureSshKey(root, log);
  await ensureHostRuns(root, embeddedHostFor(root).uri, log);
}

/** The text in a file of its own: only what was confirmed is ever in the stack's. */
async function tryOut(engine: Engine, { root, name }: StackPlace, text: string): Promise<OperationReport> {
  const trial = path.join(localDir(root), `trial-${name}.yaml`);
  writeFileSync(trial, text, { mode: 0o600 });
  try {
    return await engine.preview(trial);
  } finally {
    rmSync(trial, { force: true });
  }
}

/** After a failure its user must know how things stand, and how to go on. */
function withWhatIsLeft(error: unknown, { file, name }: StackPlace, isWritten: boolean): unknown {
  if (!(error instanceof UserError) || error instanceof StackLocked) return error;
  if (isWritten) error.message += `\n${file} has the change: \`project-vm apply --stack ${name}\` goes on from here.`;
  else if (error instanceof Interrupted) error.message += " Nothing was changed.";
  return error;
}

function changedMeanwhile(file: string): UserError {
  const remedy = "give the same command again, to see what would be done now";
  return new UserError("Nothing was changed.", [
    { path: file, rule: "must not change while a question is open", remedy },
  ]);
}
