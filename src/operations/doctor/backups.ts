import type { Stack } from "../../checkout/stack.ts";
import { counted } from "../../core/counted.ts";
import { shellFor } from "../../libvirt/shell.ts";
import { type BackupAge, type BackupsFound, backupAge } from "../../project-disks/backup-age.ts";
import { lookAtBackups } from "../../project-disks/backup-look.ts";
import { unitName } from "../../project-disks/schedule-units.ts";
import { type Examined, looked, ok, warning } from "./finding.ts";

type Of = Pick<Stack, "name" | "config" | "host">;

/** Whether the projects whose config has `backup` have backups as recent as they should be. Nothing, where none has it. */
export async function examineBackups(stack: Of): Promise<Examined[]> {
  const projects = Object.keys(wanted(stack));
  if (projects.length === 0) return [];
  const found = await looked("backups", () => lookAtBackups(stack.host.settings, projects));
  return "check" in found ? [found] : judgeBackups(stack, found);
}

/** Pure. */
export function judgeBackups(stack: Of, found: BackupsFound): Examined[] {
  const ages = Object.entries(wanted(stack)).map(([name, every]) => ({ name, ...backupAge(name, every, found) }));
  const late = ages.filter(({ overdue }) => overdue);
  if (late.length > 0) return late.map((age) => overdue(stack, age));
  return [ok("backups", `${counted(ages.length, "project")} with \`backup\`, none of them overdue`)];
}

const wanted = ({ config }: Of) =>
  Object.fromEntries(
    Object.entries(config.projects).flatMap(([name, { backup }]) => (backup ? [[name, backup.every] as const] : [])),
  );

function overdue(stack: Of, { name, every, newest }: BackupAge & { name: string }): Examined {
  const { uri, storageDir } = stack.host.settings;
  const unit = unitName({ project: name, storageDir, uri: shellFor(uri).uri });
  const says = `${name} has ${newest ? `none since ${newest.toISOString()}` : "none"}, though one is to be made every ${every}`;
  const remedy = `why, on its host: journalctl -u ${unit}; make one: project-vm backup ${name} --stack ${stack.name}`;
  return warning("backups", says, remedy);
}
