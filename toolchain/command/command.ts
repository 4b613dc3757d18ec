import { randomBytes } from "node:crypto";
import { compareInputs, type Difference, sameValue } from "./diff.ts";
import { type CommandInputs, commandKinds } from "./inputs.ts";
import type { CommandOutput, CommandRunner } from "./process.ts";
import {
  containsSecret,
  containsUnknown,
  isUnknown,
  type Properties,
  reveal,
  secret,
  unknownString,
} from "./values.ts";

/** Where and how long a step runs. */
export interface Step {
  /** Only tell what would come of it. */
  preview: boolean;
  /** Seconds, of the resource's `customTimeouts`; 0 is for ever. */
  timeout: number;
  log: (line: string) => void;
}

/** The resource `command:local:Command`: what each step of its life runs, and the state that comes of it. */
export class CommandResource {
  private readonly runner: CommandRunner;

  constructor(runner: CommandRunner) {
    this.runner = runner;
  }

  /** Runs `create`, if there is one. */
  async create(name: string, inputs: Properties, step: Step): Promise<{ id: string; state: Properties }> {
    // An id is made up at creation: in a preview nobody can know it.
    if (step.preview) return { id: "", state: { ...inputs, ...unknownOutputs(inputs) } };
    const id = name + randomBytes(4).toString("hex");
    const { create } = plain(inputs);
    const output = create === undefined ? noOutput : await this.run(create, inputs, noOutput, step);
    return { id, state: { ...inputs, ...outputs(output, inputs) } };
  }

  /** Runs `update`, or `create` if there is none. Without either the old outputs stay. */
  async update(olds: Properties, news: Properties, step: Step): Promise<Properties> {
    const old = { stdout: olds.stdout ?? "", stderr: olds.stderr ?? "" };
    if (step.preview) return { ...news, ...(inputsChanged(olds, news) ? unknownOutputs(news) : old) };
    const { create, update } = plain(news);
    const command = update ?? create;
    if (command === undefined) return { ...news, ...old };
    return { ...news, ...outputs(await this.run(command, news, plainOutput(olds), step), news) };
  }

  /** Runs `delete`, if there is one. */
  async delete(state: Properties, step: Step): Promise<void> {
    const { delete: command } = plain(state);
    if (command !== undefined) await this.run(command, state, plainOutput(state), step);
  }

  private run(command: string, inputs: Properties, previous: CommandOutput, step: Step): Promise<CommandOutput> {
    const { interpreter, dir, environment, stdin, logging, addPreviousOutputInEnv } = plain(inputs);
    return this.runner.run({
      command,
      previous,
      timeout: step.timeout,
      log: step.log,
      interpreter,
      dir,
      environment,
      stdin,
      logging,
      addPreviousOutputInEnv,
    });
  }
}

/** What of the inputs differs from the state. The engine's own rule makes a changed trigger a replacement. */
export function diffCommand(state: Properties, news: Properties): Difference {
  const olds = Object.fromEntries(Object.entries(state).filter(([key]) => key in commandKinds));
  return compareInputs(olds, news);
}

const noOutput: CommandOutput = { stdout: "", stderr: "" };

/** `checkInputs` has seen to it that the values are what the type says. */
function plain(inputs: Properties): CommandInputs {
  return reveal(inputs) as CommandInputs;
}

function plainOutput(state: Properties): CommandOutput {
  const text = (key: string) => {
    const value = reveal(state[key] ?? "");
    return typeof value === "string" && !isUnknown(value) ? value : "";
  };
  return { stdout: text("stdout"), stderr: text("stderr") };
}

/** What a command prints may hold what it was given: with a secret among the inputs the outputs are secret. */
function outputs(output: CommandOutput, inputs: Properties): Properties {
  const mark = containsSecret(inputs) ? secret : (value: string) => value;
  return { stdout: mark(output.stdout), stderr: mark(output.stderr) };
}

function unknownOutputs(inputs: Properties): Properties {
  return outputs({ stdout: unknownString, stderr: unknownString }, inputs);
}

function inputsChanged(olds: Properties, news: Properties): boolean {
  return Object.keys(commandKinds).some(
    (key) => containsUnknown(news[key]) || !sameValue(olds[key] ?? null, news[key] ?? null),
  );
}
