import { posix } from "node:path";
import type { Issue } from "../core/errors.ts";
import type { DomainFound, PoolFound } from "../libvirt/inventory.ts";
import type { ProjectDisk } from "./project-disk.ts";

/** What of a host's inventory tells who uses a disk. */
export interface PossibleUsers {
  domains: Pick<DomainFound, "name" | "state" | "diskPaths">[];
  pools: Pick<PoolFound, "name" | "type" | "path">[];
}

/**
 * Who uses a project's disk, or has its names: whatever must not be, so that the disk can be taken away, or another one
 * put in its place. Pure: all that is known of the host comes from the inventory.
 */
export function usersOf(disk: ProjectDisk, { domains, pools }: PossibleUsers): Issue[] {
  const issues: Issue[] = [];
  const own = domains.find(({ name }) => name === disk.domain);
  if (own) {
    const rule = `must not be there, but is (${own.state}): the disk is its own`;
    issues.push({ path: own.name, rule, remedy: `take ${disk.name} out of its stack's config, then \`pulumi up\`` });
  }
  for (const { name, state, diskPaths } of domains) {
    if (name === disk.domain || !diskPaths.some((file) => posix.dirname(posix.normalize(file)) === disk.folder))
      continue;
    const rule = `must not use disks in ${disk.folder}, but does (${state})`;
    issues.push({ path: name, rule, remedy: "take those disks from that domain" });
  }
  const pool = pools.find(({ name }) => name === disk.pool);
  if (pool && (pool.type !== "dir" || posix.normalize(`${pool.path}/`) !== `${disk.folder}/`)) {
    const rule = `must be of type dir at ${disk.folder}, but is of type ${pool.type}${pool.path ? ` at ${pool.path}` : ""}`;
    issues.push({ path: pool.name, rule, remedy: "name the host and storageDir of that pool in the stack's config" });
  }
  return issues;
}
