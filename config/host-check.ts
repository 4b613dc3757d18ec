import type { Inventory } from "../host/inventory.ts";
import type { NameBefore } from "./names.ts";
import type { HostSettings, StackConfig } from "./settings.ts";

/** All that the checks of a config against its host look at. */
export interface HostCheck extends NameBefore {
  config: StackConfig;
  host: HostSettings;
  inventory: Inventory;
  /** The stack's name, from which its marks on the host derive. */
  stack: string;
  file: string;
}
