import type { HostSettings, StackConfig } from "../config/settings.ts";
import type { NameBefore } from "../core/names.ts";
import type { Inventory } from "../libvirt/inventory.ts";

/** All that the checks of a config against its host look at. */
export interface HostCheck extends NameBefore {
  config: StackConfig;
  host: HostSettings;
  inventory: Inventory;
  /** The stack's name, from which its marks on the host derive. */
  stack: string;
  file: string;
}
