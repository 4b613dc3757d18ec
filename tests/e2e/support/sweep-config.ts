import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";

/** What the sweep's edits are made to: a stack's config, with all of it that an edit may change. */
export interface SweepConfig {
  /** Addresses of the stack's network; undefined where the config names no host. */
  cidr: string | undefined;
  image: ImageName;
  sshKey: string;
  /** How sizes are written: in other words they are the same sizes. */
  spelling: "MiB" | "GiB" | "M";
  defaults: VmConfig;
  projects: Record<string, Entry>;
}

/** What counts for a project that says nothing itself. Sizes in MiB. */
export interface VmConfig {
  memory: number;
  cpus: number;
  disk: number;
  rootDisk: number;
  autostart: boolean;
  keepData: boolean;
}

/** A project's entry. */
export type Entry = Partial<VmConfig> & { rebuild?: string; image?: ImageName };

/** Two base images that differ in contents. */
export const imageNames = ["a", "b"] as const;
export type ImageName = (typeof imageNames)[number];

/** An image as a config names it. */
export interface ImageConfig {
  kind: "url";
  url: string;
  sha512: string;
}

/** Keys that nobody has the other half of. */
export const sshKeys = [
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@laptop",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@work",
] as const;

/** The addresses of the network where the config names no host. */
const builtInCidr = "10.77.0.0/24";

/** What a sweep begins with: three projects. */
export const firstConfig: SweepConfig = {
  cidr: undefined,
  image: "a",
  sshKey: sshKeys[0],
  spelling: "MiB",
  defaults: { memory: 128, cpus: 1, disk: 96, rootDisk: 1024, autostart: false, keepData: true },
  projects: { app: {}, "web-2": { disk: 128, keepData: false }, db: { image: "b", autostart: true } },
};

/** What counts for a project: its own word before the default. */
export function settingsOf(config: SweepConfig, name: string): VmConfig & Entry {
  return { ...config.defaults, ...config.projects[name] };
}

/** The addresses that the network has. */
export const cidrOf = ({ cidr }: SweepConfig) => cidr ?? builtInCidr;

/** The config as a user would write it, keys without their namespace. */
export function written(
  { cidr, image, sshKey, spelling, defaults, projects }: SweepConfig,
  { uri, storageDir }: Pick<EmbeddedHost, "uri" | "storageDir">,
  images: Record<ImageName, ImageConfig>,
): Record<string, unknown> {
  const entry = ({ image: own, ...rest }: Entry) => ({
    ...withUnits(rest, spelling),
    ...(own === undefined ? {} : { image: images[own] }),
  });
  return {
    ...(cidr === undefined ? {} : { host: { uri, storageDir, network: { name: "project-vms", cidr } } }),
    image: images[image],
    sshKeys: [sshKey],
    defaults: withUnits(defaults, spelling),
    projects: Object.fromEntries(Object.entries(projects).map(([name, own]) => [name, entry(own)])),
  };
}

const sizeKeys = ["memory", "disk", "rootDisk"];

function withUnits(settings: object, spelling: SweepConfig["spelling"]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [key, sizeKeys.includes(key) ? spelt(value, spelling) : value]),
  );
}

function spelt(size: number, spelling: SweepConfig["spelling"]): string {
  if (spelling === "M") return `${size}M`;
  return spelling === "MiB" ? `${size} MiB` : `${size / 1024} GiB`;
}
