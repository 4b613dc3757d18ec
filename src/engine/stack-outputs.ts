import { stringify } from "yaml";
import { UserError } from "../core/errors.ts";
import { storedOutputs } from "../guest/stored.ts";
import { Engine, type Log } from "./engine.ts";

/** Outputs for people: as YAML, a value a line. */
export const describeOutputs = (outputs: unknown) => stringify(outputs, { lineWidth: 0 }).trimEnd();

/**
 * What a stack says of itself, or of one project. A secret is the text `[secret]`; of what came from a guest, and an earlier version
 * took as it was, only what can be is left.
 *
 * @throws UserError when there is no such project in the stack's state
 */
export async function stackOutputs(
  stack: { name: string; root: string },
  project: string | undefined,
  log: Log,
): Promise<unknown> {
  const all = await new Engine(stack.root, stack.name, log).outputs();
  const projects = storedOutputs(all.projects as Record<string, object> | undefined);
  if (project === undefined) return typeof all.projects === "object" ? { ...all, projects } : all;
  if (Object.hasOwn(projects, project)) return projects[project];
  const known = Object.keys(projects).join(", ") || "none";
  const remedy = `projects of the last update: ${known}; \`project-vm apply --stack ${stack.name}\` makes what is new in the file`;
  throw new UserError(`The stack ${stack.name} says nothing of ${project}.`, [
    { path: project, rule: "must be a project that an update has made", remedy },
  ]);
}
