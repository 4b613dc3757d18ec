import type { Workload } from "./workload.ts";

/** Somebody who makes VMs, for the figures. What takes part of the time that is measured is in `apply`, `preview` and `destroy`. */
export interface Contender {
  /** As it stands in the table; one word. */
  readonly name: string;
  /** Gets ready for one round on an empty host, with up to these VMs. Not timed. */
  prepare(workload: Workload, vms: readonly string[]): Promise<void>;
  /** Makes whatever of these VMs and of their host's part is not there. */
  apply(vms: readonly string[]): Promise<void>;
  /** Finds out that nothing has changed. */
  preview(vms: readonly string[]): Promise<void>;
  /** Says how they are, all at once: what a user asks for many times a day. */
  list(vms: readonly string[]): Promise<void>;
  /** Removes all. */
  destroy(): Promise<void>;
}
