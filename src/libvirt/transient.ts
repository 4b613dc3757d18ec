import type { Issue } from "../core/errors.ts";
import { domainName } from "../core/names.ts";

/** A VM that runs and is not defined as a fact and what to do about it. */
export function transientIssue({ project, stack }: { project: string; stack?: string | undefined }): Issue {
  const where = stack === undefined ? "" : ` --stack ${stack}`;
  return {
    path: domainName(project),
    rule: "must be defined on its host, but only runs there (virsh undefine): it is gone when it stops",
    remedy: `have it defined again, as it runs: project-vm doctor --fix${where}`,
  };
}
