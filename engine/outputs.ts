import { stringify } from "yaml";
import { UserError } from "../config/errors.ts";
import { Engine, type Log } from "./engine.ts";

/** Outputs for people: as YAML, a value a line. */
export const describeOutputs = (outputs: unknown) => stringify(outputs, { lineWidth: 0 }).trimEnd();

/**
 * What a stack says of itself, or of one project. Secrets are left out.
 *
 * @throws UserError when there is no such project in the stack's state
 */
export async function stackOutputs(
  stack: { name: string; root: string },
  project: string | undefined,
  log: Log,
): Promise<unknown> {
  const all = await new Engine(stack.root, stack.name, log).outputs();
  const shown = Object.fromEntries(
    Object.entries(all).map(([key, { value, secret }]) => [key, secret ? "[secret]" : value]),
  );
  if (project === undefined) return shown;
  const projects = (shown.projects ?? {}) as Record<string, unknown>;
  if (Object.hasOwn(projects, project)) return projects[project];
  const known = Object.keys(projects).join(", ") || "none";
  const remedy = `projects of the last update: ${known}; \`project-vm apply --stack ${stack.name}\` makes what is new in the file`;
  throw new UserError(`The stack ${stack.name} says nothing of ${project}.`, [
    { path: project, rule: "must be a project that an update has made", remedy },
  ]);
}
