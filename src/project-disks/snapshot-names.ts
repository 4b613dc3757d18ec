import { UserError } from "../core/errors.ts";
import type { Snapshot } from "./disk-image.ts";
import { remedyAmong } from "./project-disk.ts";

/** As a DNS label, but with a letter first: qemu-img takes what is only digits for the number of a snapshot. */
const pattern = /^[a-z]([a-z0-9-]*[a-z0-9])?$/;
const longest = 63;

/** What the snapshots that a restore makes of the state before it begin with. */
const safetyPrefix = "before-restore-";

/** @throws UserError when a snapshot cannot have that name */
export function checkSnapshotName(name: string): void {
  if (name.length <= longest && pattern.test(name)) return;
  throw new UserError("There can be no such snapshot.", [
    {
      path: "snapshot",
      rule: `must have a name of a-z, 0-9 and \`-\`, a letter first, no \`-\` last, at most ${longest} characters`,
      value: name,
      remedy: "write e.g. `before-upgrade`",
    },
  ]);
}

/** @throws UserError when there is one of that name already */
export function refuseTwin(name: string, there: Snapshot[]): void {
  const twin = there.find((one) => one.name === name);
  if (!twin) return;
  throw new UserError("The snapshot was not made.", [
    {
      path: "snapshot",
      rule: `must have another name than the one from ${twin.created.toISOString()}`,
      value: name,
      remedy: "choose another name, or delete that one first",
    },
  ]);
}

/** @throws UserError when there is none of that name, or several, with what there is */
export function findSnapshot(name: string, there: Snapshot[]): Snapshot {
  const [found, ...twins] = there.filter((one) => one.name === name);
  if (found && twins.length === 0) return found;
  const rule = found ? "must be the name of one snapshot, not of several" : "must be the name of a snapshot";
  const names = there.map((one) => one.name);
  const remedy = found ? "delete the others on the host: qemu-img snapshot -d" : remedyAmong(name, names, "snapshots");
  throw new UserError("There is no such snapshot.", [{ path: "snapshot", rule, value: name, remedy }]);
}

/** A name for the snapshot of the state before a restore. @example "before-restore-20260314-150926" (UTC) */
export function safetyName(now: Date, there: Snapshot[]): string {
  const [day = "", time = ""] = now.toISOString().split(/[T.]/);
  const name = `${safetyPrefix}${day.replaceAll("-", "")}-${time.replaceAll(":", "")}`;
  return there.some((one) => one.name === name) ? safetyName(new Date(now.getTime() + 1000), there) : name;
}
