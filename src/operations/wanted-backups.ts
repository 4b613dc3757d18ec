import type { Outline } from "../checkout/outline.ts";
import type { BackupsFound } from "../project-disks/backup-age.ts";

/**
 * Looks at the backups of those projects whose config wants some, beside the look at their VMs: libvirt does not know them,
 * so it takes a program on the host, one for all projects, by a connection of its own where the host is elsewhere.
 *
 * @returns undefined where there are none to look at, or where they cannot be seen: that keeps nobody from seeing his VMs
 */
export async function wantedBackups({
  host,
  projects,
}: Pick<Outline, "host" | "projects">): Promise<BackupsFound | undefined> {
  const names = Object.keys(projects).filter((name) => projects[name]?.backup);
  if (names.length === 0) return undefined;
  const { lookAtBackups } = await import("../project-disks/backup-look.ts");
  return lookAtBackups(host, names).catch(() => undefined);
}
