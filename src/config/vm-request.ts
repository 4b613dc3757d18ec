import { formatPath, type Issue, UserError } from "../core/errors.ts";
import type { SizeText } from "../core/sizes.ts";
import type { BackupSettings } from "./backup-settings.ts";
import { explain } from "./explain.ts";
import { invalidNames } from "./name-rules.ts";
import { projectKeys, projectSchema } from "./schema.ts";
import type { Firmware, ImageSettings, ProjectSettings } from "./settings.ts";

/** A VM's settings as somebody's own program writes them, with the same rules and defaults as in a stack's config. */
export interface VmRequest {
  /**
   * Memory. A change shuts the VM down gracefully and brings it up with the new figure; no data is touched.
   * @default "8 GiB"
   * @example "16 GiB"
   */
  memory?: SizeText;
  /**
   * Virtual CPUs, a whole number. A change shuts the VM down gracefully and brings it up again; no data is touched.
   * @default 4
   * @example 8
   */
  cpus?: number;
  /**
   * Size of the project disk. A bigger one grows the disk and its filesystem in place, with all that is on it; a smaller
   * one is refused. No change replaces, shrinks or deletes a project disk.
   * @default "50 GiB"
   * @example "100 GiB"
   */
  disk?: SizeText;
  /**
   * Size of the root disk. A bigger one grows it in place; a smaller one takes a rebuild.
   * @default "20 GiB"
   * @example "40 GiB"
   */
  rootDisk?: SizeText;
  /**
   * What the VM boots by. A change shuts the VM down gracefully and brings it up again; no data is touched.
   * @default "bios"
   * @example "uefi"
   */
  firmware?: Firmware;
  /**
   * Whether the VM starts when its host does. A change counts from the host's next start.
   * @default false
   * @example true
   */
  autostart?: boolean;
  /**
   * Whether the project disk stays on the host when the VM is removed. With `false` it is deleted with it.
   * A change touches nothing until then.
   * @default true
   * @example false
   */
  keepData?: boolean;
  /**
   * Has the host back the project disk up by itself, by a systemd timer. Backups outlive the VM.
   * @default undefined, none are made
   * @example { every: "1d", keep: 7 }
   */
  backup?: BackupSettings | undefined;
  /**
   * Another text than before shuts the VM down gracefully and recreates its root disk, from the newest base image. The
   * project disk and the machine's identity are kept.
   * @example "2026-11-21"
   */
  rebuild?: string | undefined;
  /**
   * The VM's own base image, in place of the host's. A change recreates the root disk, as `rebuild` does.
   * @default the host's
   * @example { kind: "build" }
   */
  image?: ImageSettings | undefined;
}

/**
 * The settings of one VM, checked and complete.
 *
 * @param request also of settings that are so already: then its name alone is checked
 * @throws UserError with all mistakes of the name and the settings
 * @example resolveVmSettings("myapp", { memory: "16 GiB" }).cpus === 4
 */
export function resolveVmSettings(name: string, request: VmRequest | { settings: ProjectSettings }): ProjectSettings {
  if ("settings" in request) {
    const issues = nameIssues(name);
    if (issues.length > 0) throw cannotBeMade(name, issues);
    return request.settings;
  }
  const keys = projectKeys.filter((key) => request[key] !== undefined);
  const written = Object.fromEntries(keys.map((key) => [key, request[key]]));
  const result = projectSchema.safeParse(written);
  const issues = [...nameIssues(name), ...explain(result.error?.issues ?? [], written, placeOf(name))];
  if (!result.success || issues.length > 0) throw cannotBeMade(name, issues);
  return result.data;
}

const placeOf = (name: string) => `ProjectVm ${name}`;

const nameIssues = (name: string): Issue[] =>
  [...invalidNames([name]).values()].map(({ rule, remedy }) => ({
    path: formatPath(placeOf(name), ["name"]),
    rule,
    remedy,
  }));

const cannotBeMade = (name: string, issues: Issue[]) => new UserError(`${placeOf(name)} cannot be made.`, issues);
