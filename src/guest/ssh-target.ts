import type { GuestAddress, HostKey, TailnetName } from "../core/guest-values.ts";

/** A VM as an SSH client reaches it. */
export interface SshTarget {
  /** The project's name; `ssh -F <file> project-<name>` logs in. */
  name: string;
  /** The first is used; a VM without any is left out. */
  addresses: GuestAddress[];
  /** Public host keys; the client trusts these and no others. */
  hostKeys: HostKey[];
  /** Its name in a tailnet, under which it is reached without a detour. */
  tailnetName?: TailnetName | undefined;
}
