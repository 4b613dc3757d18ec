import type * as command from "@pulumi/command";
import type * as libvirt from "@pulumi/libvirt";
import type { ProjectSettings } from "../src/config/settings.ts";
import type { VmRequest } from "../src/config/vm-request.ts";
import type { Transform } from "./transform.ts";
import type { VmHost } from "./vm-host.ts";

/** What a {@link ProjectVm} is made from beside its settings. */
export interface VmSurroundings {
  /** The host that the VM lives on. Another host is another VM: nothing is moved. */
  host: VmHost;
  /**
   * Public SSH keys that may log in as `dev`, in OpenSSH's one-line form. Read at first boot only: a change reaches
   * a VM when its root is rebuilt, and never restarts it.
   * @example ["ssh-ed25519 AAAA… me@laptop"]
   */
  sshKeys: string[];
  /**
   * Whether the VM is started and waited for when it is made. `false` makes it and leaves it off. A VM that exists is
   * neither started nor stopped by a change of this.
   * @default true
   */
  running?: boolean;
  /** Changes to the children just before they are made. */
  transform?: {
    pool?: Transform<libvirt.PoolArgs>;
    rootDisk?: Transform<libvirt.VolumeArgs>;
    projectDisk?: Transform<libvirt.VolumeArgs>;
    seed?: Transform<libvirt.VolumeArgs>;
    domain?: Transform<libvirt.DomainArgs>;
    ready?: Transform<command.local.CommandArgs>;
    settings?: Transform<command.local.CommandArgs>;
    teardown?: Transform<command.local.CommandArgs>;
    backup?: Transform<command.local.CommandArgs>;
  };
}

/** What a {@link ProjectVm} is made from; sizes, CPUs and autostart are those of {@link VmRequest}. */
export interface ProjectVmArgs extends VmRequest, VmSurroundings {}

/** The same where the settings are checked and complete already, as those of a stack's config are. */
export interface ResolvedVmArgs extends VmSurroundings {
  /** Sizes are in bytes. A change of each does what the key of its name does in {@link VmRequest}. */
  settings: ProjectSettings;
}
