import { cancel, isCancel, text } from "@clack/prompts";
import { InvalidArgumentError } from "commander";
import { invalidNames } from "../src/config/name-rules.ts";
import type { StackConfig } from "../src/config/parse.ts";
import { UserError } from "../src/core/errors.ts";
import type { NewProject } from "../src/engine/project-changes.ts";
import { cpusArgument, given, memoryArgument, sizeArgument } from "./arguments.ts";

/**
 * Asks for a new project in steps, each answer checked as it is given.
 *
 * @returns undefined when the questions were broken off
 * @throws UserError when there is nobody to ask
 */
export async function askForProject({ projects }: Pick<StackConfig, "projects">): Promise<NewProject | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    const remedy = "project-vm create myapp; `project-vm create --help` says what else can be given";
    throw new UserError("Nothing was changed.", [
      { path: "create", rule: "must be given a name where there is nobody to ask", remedy },
    ]);
  }
  const optional = (read: (answer: string) => unknown) => (answer: string) => answer.trim() === "" || read(answer);
  const questions = [
    ["Name of the project", (name: string) => checkName(name, Object.keys(projects)), "myapp"],
    ["Memory", optional(memoryArgument), "Enter for the stack's default, or e.g. 16 GiB"],
    ["CPUs", optional(cpusArgument), "Enter for the stack's default, or e.g. 8"],
    ["Project disk", optional(sizeArgument), "Enter for the stack's default, or e.g. 100 GiB"],
  ] as const;
  const answers: string[] = [];
  for (const [message, check, placeholder] of questions) {
    const validate = (answer = "") => mistake(check, answer);
    const answer = await text({ message, placeholder, output: process.stderr, validate });
    if (isCancel(answer)) {
      cancel("Nothing was changed.", { output: process.stderr });
      return undefined;
    }
    answers.push((answer ?? "").trim());
  }
  const [name = "", memory, cpus, disk] = answers;
  const read = <T>(reader: (answer: string) => T, answer: string | undefined) => (answer ? reader(answer) : undefined);
  const settings = {
    memory: read(memoryArgument, memory),
    cpus: read(cpusArgument, cpus),
    disk: read(sizeArgument, disk),
  };
  return { name, ...given(settings) };
}

function checkName(name: string, others: string[]): void {
  if (others.includes(name.trim())) throw new InvalidArgumentError("There is a project of that name already.");
  const invalid = invalidNames([...others, name.trim()]).get(name.trim());
  if (invalid) throw new InvalidArgumentError(`It ${invalid.rule}: ${invalid.remedy}.`);
}

function mistake(check: (answer: string) => unknown, answer: string): string | undefined {
  try {
    check(answer);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
