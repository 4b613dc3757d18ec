import type { Inventory } from "../host/inventory.ts";
import type { HostSettings, StackConfig } from "./settings.ts";

/** What is known of a name that a stack had before. */
export interface NameBefore {
  /** The name that the stack's marks bear in its state, where it was renamed since. */
  formerName?: string | undefined;
  /** Whether that is not known, since the state is not read here: its backend is no folder. */
  mayBeRenamed?: boolean;
}

/** All that the checks of a config against its host look at. */
export interface HostCheck extends NameBefore {
  config: StackConfig;
  host: HostSettings;
  inventory: Inventory;
  /** The stack's name, from which its marks on the host derive. */
  stack: string;
  file: string;
}
