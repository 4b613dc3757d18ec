import { stringify } from "yaml";
import { UserError } from "../config/errors.ts";
import { Engine, type Log } from "./engine.ts";

/** Outputs for people: as YAML, a value a line. */
export const describeOutputs = (outputs: unknown) => stringify(outputs, { lineWidth: 0 }).trimEnd();

/**
 * What a stack says of itself, or of one project. A secret is the text `[secret]`.
 *
 * @throws UserError when there is no such project in the stack's state
 */
export async function stackOutputs(
  stack: { name: string; root: string },
  project: string | undefined,
  log: Log,
): Promise<unknown> {
  const all = await new Engine(stack.root, stack.name, log).outputs();
  if (project === undefined) return all;
  const projects = (all.projects ?? {}) as Record<string, unknown>;
  if (Object.hasOwn(projects, project)) return projects[project];
  const known = Object.keys(projects).join(", ") || "none";
  const remedy = `projects of the last update: ${known}; \`project-vm apply --stack ${stack.name}\` makes what is new in the file`;
  throw new UserError(`The stack ${stack.name} says nothing of ${project}.`, [
    { path: project, rule: "must be a project that an update has made", remedy },
  ]);
}
