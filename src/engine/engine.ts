import { readFileSync } from "node:fs";
import path from "node:path";
import { type EngineEvent, LocalWorkspace, Stack } from "@pulumi/pulumi/automation/index.js";
import { cacheFolder } from "../../toolchain/ensure/places.ts";
import { toolchainEnvironment } from "../../toolchain/ensure.ts";
import { usedBackend } from "../checkout/backend.ts";
import { requireReadableState } from "../checkout/broken-state.ts";
import { checkoutEnvironment, prepareCheckout } from "../checkout/checkout.ts";
import { lockedStack } from "../checkout/engine-lock.ts";
import { wrongPassphrase } from "../checkout/passphrase.ts";
import { readPulumiProject, stackFileName } from "../checkout/pulumi-files.ts";
import { requireText } from "../checkout/read-stack-file.ts";
import { keepingFile, withSalt, writeWhole } from "../checkout/stack-file.ts";
import { releaseDeadLocks } from "../checkout/stack-lock.ts";
import type { Resource } from "../checkout/stack-state.ts";
import { requireStateRoom } from "../checkout/state-room.ts";
import { stackUrn } from "../config/pulumi-project.ts";
import { UserError } from "../core/errors.ts";
import { changeOwn } from "../core/program-environment.ts";
import { type ProgressLog, readable, recordsVariable, sentence } from "../core/records.ts";
import { describeFailures, emptyReport, type OperationReport, readEvent } from "./events.ts";
import { reapOrphans } from "./orphans.ts";
import { PulumiError, PulumiProcess } from "./pulumi-process.ts";

/** Takes a line of progress. */
export type Log = ProgressLog;

/** The Pulumi engine on one stack of a checkout: the same stacks, state and secrets as plain `pulumi` there. */
export class Engine {
  private selected: Promise<Stack> | undefined;
  /** What runs `pulumi`: who interrupts it asks this. */
  readonly pulumi = new PulumiProcess();

  private readonly root: string;
  readonly stack: string;
  private readonly log: Log;
  private readonly mayBeginElsewhere: boolean;

  /**
   * @param root absolute path of the checkout
   * @param mayBeginElsewhere whether a stack may be begun in a backend that is not the checkout's own
   */
  constructor(root: string, stack: string, log: Log, mayBeginElsewhere = false) {
    this.root = root;
    this.stack = stack;
    this.log = log;
    this.mayBeginElsewhere = mayBeginElsewhere;
  }

  /**
   * What an update would do. Changes nothing.
   *
   * @param configFile a stack file to try, in place of the stack's own
   * @throws UserError with what went wrong
   */
  preview(configFile?: string): Promise<OperationReport> {
    this.log(`${this.stack}: looking at what would change`);
    return this.operation("preview", async (stack, onEvent) => {
      await stack.preview({ color: "never", onEvent, ...(configFile ? { configFile } : {}) });
    });
  }

  /**
   * Brings the stack to what its file says, also after an update that was killed: the program looks at the host itself.
   *
   * @param refresh whether the engine looks at all resources first
   * @throws UserError with what went wrong
   */
  up(refresh = false): Promise<OperationReport> {
    return this.operation("update", async (stack, onEvent, told) => {
      await requireStateRoom(this.root, this.stack);
      await releaseDeadLocks(this.root, this.stack, this.log);
      if (refresh) await this.lookAtAll(stack);
      this.log(`${this.stack}: updating`);
      try {
        await stack.up({ color: "never", onEvent });
      } catch (error) {
        // It takes its lock a moment before it minds interrupts: one then ends it at once, with nothing begun.
        if (error instanceof PulumiError && error.signal === "SIGINT") {
          await releaseDeadLocks(this.root, this.stack, () => undefined);
        }
        throw error;
      }
      if (told.isPending) await this.forgetPending(stack);
      this.log(`${this.stack}: updated`);
    });
  }

  private async lookAtAll(stack: Stack): Promise<void> {
    this.log(`${this.stack}: looking at all resources`);
    await stack.refresh({ color: "never" });
  }

  /**
   * What an update that was killed had begun to make is in the state until then, and warned about at each update. No resource is looked
   * at for that: a domain whose root disk was just removed by what was killed cannot be.
   */
  private async forgetPending(stack: Stack): Promise<void> {
    const target = [stackUrn(readPulumiProject(this.root).name, this.stack)];
    await stack.refresh({ color: "never", clearPendingCreates: true, target });
  }

  /**
   * The stack's outputs.
   *
   * @param showSecrets whether secret ones are shown, which are the text `[secret]` otherwise
   * @throws UserError with what went wrong
   */
  async outputs(showSecrets = false): Promise<Record<string, unknown>> {
    await this.select();
    const read = this.pulumi.outputs(this.root, this.stack, showSecrets);
    return JSON.parse((await read.catch((error) => this.explain("reading", error))).stdout);
  }

  /**
   * What the engine knows of the stack, secrets encrypted: none where its backend has no such stack.
   *
   * @throws UserError when the engine cannot tell
   */
  async resources(): Promise<Resource[]> {
    try {
      const stack = await this.find(await this.workspace());
      if (stack === undefined) return [];
      const { stdout } = await this.pulumi.exported(this.root, this.stack);
      return (JSON.parse(stdout) as { deployment?: { resources?: Resource[] } }).deployment?.resources ?? [];
    } catch (error) {
      return this.explain("reading", error);
    }
  }

  private async operation(
    name: string,
    run: (stack: Stack, onEvent: (event: EngineEvent) => void, told: OperationReport) => Promise<void>,
  ): Promise<OperationReport> {
    const told = emptyReport();
    const onEvent = (event: EngineEvent) => {
      for (const said of readEvent(event, told)) {
        if (typeof said === "string") this.log(said);
        else this.log(sentence(said), said);
      }
    };
    const stack = await this.select();
    try {
      await keepingFile(this.file(), () => run(stack, onEvent, told), this.log, saidAtStart);
      return told;
    } catch (error) {
      return await this.explain(name, error, told);
    } finally {
      reapOrphans(cacheFolder());
    }
  }

  /** @throws what an operation failed with, as a UserError when the engine said it */
  private async explain(name: string, error: unknown, told = emptyReport()): Promise<never> {
    if (!(error instanceof PulumiError)) throw error;
    const locked = await lockedStack(error, this.root, this.stack);
    if (locked) throw locked;
    const closed = wrongPassphrase(this.root, this.stack, error.stderr);
    if (closed) throw closed;
    const printed = [error.stderr, error.stdout].join("\n").trim().split("\n").slice(-15).join("\n");
    const failures = describeFailures(told) || readable(printed);
    throw new UserError(`The ${name} of the stack ${this.stack} did not succeed:\n${failures}`);
  }

  /**
   * The stack in the backend that the engine uses; one that has only its file yet is begun, which notes a salt in its file.
   *
   * @throws UserError with what went wrong
   */
  select(): Promise<Stack> {
    this.selected ??= this.open().catch((error) => this.explain("selection", error));
    return this.selected;
  }

  private async open(): Promise<Stack> {
    const workspace = await this.workspace();
    return withoutReport((await this.find(workspace)) ?? (await this.begin(workspace)));
  }

  private async workspace(): Promise<LocalWorkspace> {
    prepareCheckout(this.root);
    await requireReadableState(this.root, this.stack);
    // For whatever starts `pulumi`, in this process and below it.
    changeOwn({ ...checkoutEnvironment(this.root), ...toolchainEnvironment() });
    reapOrphans(cacheFolder());
    // For the program and its steps, which have it from the engine's environment.
    const envVars = { [recordsVariable]: "1" };
    return LocalWorkspace.create({ workDir: this.root, pulumiCommand: await this.pulumi.command(), envVars });
  }

  private async find(workspace: LocalWorkspace): Promise<Stack | undefined> {
    try {
      return await Stack.select(this.stack, workspace);
    } catch (error) {
      if (!(error instanceof PulumiError) || !/no stack named .* found/.test(error.stderr)) throw error;
      return undefined;
    }
  }

  private async begin(workspace: LocalWorkspace): Promise<Stack> {
    const backend = usedBackend(this.root);
    if (!backend.isOwn && !this.mayBeginElsewhere) throw notBegun(this.stack, backend.name);
    await requireStateRoom(this.root, this.stack);
    this.log(`${this.stack}: there is no state of this stack yet: beginning one`);
    const file = this.file();
    const text = requireText(readFileSync(file, "utf8"), stackFileName(this.root, this.stack));
    // An engine that was killed while it began it may have left its lock alone.
    await releaseDeadLocks(this.root, this.stack, this.log);
    // No guest speaks while a stack is begun, and stdout has that it was, also where its file could not be written.
    const saidBy = (error: unknown) => (error instanceof PulumiError ? error.stderr : "");
    const stack = await keepingFile(file, () => Stack.create(this.stack, workspace), this.log, saidBy);
    writeWhole(file, withSalt(text, readFileSync(file, "utf8")));
    return stack;
  }

  /** Absolute path of the stack's file. */
  private file(): string {
    return path.join(this.root, stackFileName(this.root, this.stack));
  }
}

/**
 * After each update the Automation API reads the outputs, twice, and the history, for a result that nobody here reads: three
 * processes, a second and a half.
 */
function withoutReport(stack: Stack): Stack {
  return Object.assign(stack, { outputs: async () => ({}), info: async () => undefined });
}

/** Another backend is often chosen by a variable that was set for something else. */
function notBegun(stack: string, backend: string): UserError {
  return new UserError("Nothing was changed.", [
    {
      path: `stack ${stack}`,
      rule: `must be in the backend ${backend}, and only \`apply\` and \`create\` with \`--yes\` begin it there`,
      remedy: `unset PULUMI_BACKEND_URL if this checkout's own state is meant; to begin it there: \`pulumi stack init ${stack}\``,
    },
  ]);
}

/** What an engine said that failed before it began its work, which it tells on stdout. */
const saidAtStart = (error: unknown) => (error instanceof PulumiError && error.stdout === "" ? error.stderr : "");
