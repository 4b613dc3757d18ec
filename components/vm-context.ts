import type { ProjectSettings } from "../src/config/settings.ts";
import type { ProjectFound } from "../src/lifecycle/plan.ts";
import type { BaseImage } from "./base-image.ts";
import type { VmSurroundings } from "./project-vm-args.ts";
import type { ChildFactory } from "./transform.ts";
import type { VmHost } from "./vm-host.ts";

/** All that the children of one VM are made from. */
export interface VmContext {
  name: string;
  args: VmSurroundings;
  settings: ProjectSettings;
  host: VmHost;
  /** The folder of its disks on the host. */
  dir: string;
  /** What a new root disk stands on. */
  image: BaseImage;
  /** What is on the host already. */
  found: ProjectFound;
}

/** Makes the children of a VM. */
export type Children = ChildFactory<NonNullable<VmSurroundings["transform"]>>;
