import { formatPath, type Issue } from "../core/errors.ts";
import { basePoolName } from "../core/names.ts";
import { digestInName, imageUsage, isNewerThanMarker, type MissingImage } from "../images/usage.ts";
import { virshInShell } from "../libvirt/virsh-line.ts";
import { findProject, wantsNewRoot } from "../lifecycle/plan.ts";
import type { HostCheck } from "./host-check.ts";

/**
 * What is wrong with the base images that VMs of a config stand on: a file that is not there, a file that was written to
 * after it was uploaded. One issue an image, with all projects on it. Pure: all that is known comes from the inventory,
 * and of a pool that is not active nothing is.
 */
export function baseImageIssues(check: HostCheck): Issue[] {
  const { images, missing } = imageUsage(check.inventory, check.host.storageDir);
  const altered = images.filter(isNewerThanMarker);
  return [
    ...missing.flatMap((image) => issueOn(check, stuckOn(check, image), missingIssue(check, image))),
    ...altered.flatMap((image) => issueOn(check, image.projects, alteredIssue(check, image.path))),
  ];
}

/** Those that this update makes a new root for no longer need the file. */
function stuckOn({ config, host, inventory }: HostCheck, { projects }: MissingImage): string[] {
  return projects.filter((name) => {
    const settings = config.projects[name];
    return settings && !wantsNewRoot(findProject(inventory, host.storageDir, name), settings);
  });
}

function issueOn({ config, file }: HostCheck, names: string[], what: Pick<Issue, "rule" | "remedy">): Issue[] {
  const [first, ...more] = names.filter((name) => Object.hasOwn(config.projects, name));
  if (first === undefined) return [];
  const place = formatPath(file, ["projects", first]);
  const also = more.map((name) => `projects.${name}`).join(", ");
  return [{ path: also ? `${place} (and ${also})` : place, ...what }];
}

function missingIssue({ inventory }: HostCheck, { name, path }: MissingImage) {
  const digest = digestInName(name);
  const known = digest ? ` (its SHA-512 begins with ${digest})` : "";
  const refresh = virshInShell(inventory.uri, "pool-refresh", basePoolName);
  return {
    rule: `must have the base image that its root disk stands on, but ${path} is missing on ${inventory.uri}`,
    remedy: `put that file back${known} and run \`${refresh}\`; or write another \`rebuild: <any text>\` into the entry: a new root disk, the project disk is kept`,
  };
}

function alteredIssue({ inventory, stack }: HostCheck, path: string) {
  return {
    rule: `must stand on a base image as it was uploaded, but ${path} on ${inventory.uri} may have been altered since: it is newer than its .sha512`,
    remedy: `compare its contents: \`project-vm images verify --stack ${stack}\``,
  };
}
