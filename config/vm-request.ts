import { formatPath, UserError } from "./errors.ts";
import { explain } from "./explain.ts";
import { invalidNames } from "./name-rules.ts";
import { vmKeys, vmSchema } from "./schema.ts";
import type { VmSettings } from "./settings.ts";
import { MiB, type SizeText } from "./sizes.ts";

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
   * Size of the project disk. Counts when the disk is made; a change never replaces, shrinks or deletes one that is there.
   * @default "50 GiB"
   * @example "100 GiB"
   */
  disk?: SizeText;
  /**
   * Size of the root disk. Counts when the disk is made; one that is there keeps its size.
   * @default "20 GiB"
   * @example "40 GiB"
   */
  rootDisk?: SizeText;
  /**
   * Whether the VM starts when its host does. A change counts from the host's next start.
   * @default false
   * @example true
   */
  autostart?: boolean;
}

/**
 * The settings of one VM, checked and complete.
 *
 * @throws UserError with all mistakes of the name and the settings
 * @example resolveVmSettings("myapp", { memory: "16 GiB" }).cpus === 4
 */
export function resolveVmSettings(name: string, request: VmRequest): VmSettings {
  const written = Object.fromEntries(vmKeys.map((key) => [key, request[key]]));
  const result = vmSchema.safeParse(written);
  const place = `ProjectVm ${name}`;
  const names = [...invalidNames([name]).values()].map(({ rule, remedy }) => ({
    path: formatPath(place, ["name"]),
    rule,
    remedy,
  }));
  const issues = [...names, ...explain(result.error?.issues ?? [], written, place)];
  if (!result.success || issues.length > 0) throw new UserError(`${place} cannot be made.`, issues);
  return result.data;
}

/** Settings that are complete, as a request: the way from a stack's config to a component. */
export function vmRequest(settings: VmSettings): Required<VmRequest> {
  const { cpus, autostart } = settings;
  const inMiB = (bytes: number): SizeText => `${bytes / MiB} MiB`;
  return {
    memory: inMiB(settings.memory),
    cpus,
    disk: inMiB(settings.disk),
    rootDisk: inMiB(settings.rootDisk),
    autostart,
  };
}
