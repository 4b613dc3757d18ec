import type { Inventory } from "../host/inventory.ts";
import type { HostSettings, StackConfig } from "./settings.ts";

/** All that the checks of a config against its host look at. */
export interface HostCheck {
  config: StackConfig;
  host: HostSettings;
  inventory: Inventory;
  /** The stack's name, from which its marks on the host derive. */
  stack: string;
  /** The name that the stack's marks bear in its state, where it was renamed since. */
  formerName?: string | undefined;
  file: string;
}
