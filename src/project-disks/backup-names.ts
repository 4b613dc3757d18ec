/**
 * When a backup was begun, by its name; undefined for what is none of that project's.
 *
 * @example stampIn("myapp-20260314T150926Z.qcow2", "myapp") // 2026-03-14T15:09:26Z
 */
export function stampIn(file: string, project: string): Date | undefined {
  const end = file.startsWith(`${project}-`) ? file.slice(project.length + 1) : "";
  const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.qcow2$/.exec(end)?.slice(1);
  if (!stamp) return undefined;
  const [year, month, day, ...time] = stamp;
  const date = new Date(`${year}-${month}-${day}T${time.join(":")}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
