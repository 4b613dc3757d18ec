import type { BackupSettings } from "./backup-settings.ts";

/** What a stack's config says, validated and complete: the form in which the rest of the program knows it. */
export interface StackConfig {
  /** undefined: the embedded libvirt of the checkout, with the default network and virtualization. */
  host: HostSettings | undefined;
  image: ImageSettings;
  /** undefined: the user's own. */
  sshKeys: string[] | undefined;
  projects: Record<string, ProjectSettings>;
  /** undefined: the VMs are in no tailnet. */
  tailnet: TailnetSettings | undefined;
  /** Where each setting of each project comes from, for errors that are found later, at the host. */
  sources: Record<string, VmSources>;
  /** What was read in a way that the user should know of. @example ["…: projects.webapp.disk: \"50G\" is read as 50 GiB"] */
  notices: string[];
}

/** What a VM can boot by. */
export const firmwares = ["bios", "uefi"] as const;
export type Firmware = (typeof firmwares)[number];

/** Sizes in bytes. */
export interface VmSettings {
  memory: number;
  cpus: number;
  disk: number;
  rootDisk: number;
  firmware: Firmware;
  autostart: boolean;
  keepData: boolean;
  /** undefined: no backups are made by themselves. */
  backup?: BackupSettings | undefined;
}

/** What only an entry of its own can say. */
export interface ProjectSettings extends VmSettings {
  /** Another text than before asks for a new root disk. */
  rebuild?: string | undefined;
  /** The project's own base image, in place of the stack's. */
  image?: ImageSettings | undefined;
}

/** The entry itself, `defaults` in the config, or the table of built-in defaults. */
export type Source = "project" | "defaults" | "built-in";

export type VmSources = Record<keyof VmSettings, Source>;

export interface HostSettings {
  /** libvirt's URI. */
  uri: string;
  storageDir: string;
  network: NetworkSettings;
  virtualization: "auto" | "kvm" | "emulated";
}

/** A network that is there, or one that the stack makes and owns. */
export type NetworkSettings = { kind: "existing"; name: string } | { kind: "managed"; name: string; cidr: string };

export type ImageSettings = { kind: "build" } | { kind: "url"; url: string; sha512: string };

/** A tailnet that VMs join. Without `keyFile` and `headscale` their keys come from the Tailscale API. */
export interface TailnetSettings {
  /** Its MagicDNS domain. @example "tail1234.ts.net" */
  domain: string;
  /** @example "tag:project-vm" */
  tag: string;
  /** The control server's URL; undefined: Tailscale's. */
  server?: string | undefined;
  /** A file on this machine that holds a key, in place of any API. */
  keyFile?: string | undefined;
  /** Keys are made on the headscale at `server`, for this user of it. */
  headscale?: { user: string } | undefined;
  reusable: boolean;
  /** Seconds. */
  keyExpiry: number;
}
