import type { ProjectVmArgs } from "../../components/project-vm-args.ts";
import type { VmHostArgs } from "../../components/vm-host-args.ts";
import type { ImageSettings } from "../../src/config/settings.ts";

/** What the bench asks its Pulumi program for, as JSON in PROJECT_VMS_BENCH. */
export interface ProgramRequest {
  settings: VmHostArgs["settings"];
  image: ImageSettings;
  /** Names of the VMs; all are alike. */
  vms: string[];
  vm: Omit<ProjectVmArgs, "host" | "transform">;
  /** Where the program writes its {@link ProgramTimes}. */
  timesFile: string;
}

/** When the program got where, in milliseconds since 1970. */
export interface ProgramTimes {
  /** Node began. */
  started: number;
  /** All modules were loaded. */
  loaded: number;
  /** The inventory was taken. */
  looked: number;
  ended: number;
}
