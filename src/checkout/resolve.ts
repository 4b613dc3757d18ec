import { existsSync } from "node:fs";
import path from "node:path";
import { defaults } from "../config/defaults.ts";
import type { HostSettings, StackConfig } from "../config/parse.ts";
import { embeddedHostFor } from "../libvirt/embedded-layout.ts";
import { type SshPath, sshPathTo } from "./ssh-config.ts";

/** A stack's host, and how this machine reaches the VMs on it. */
export interface ResolvedHost {
  settings: HostSettings;
  ssh: SshPath;
}

/** The checkout's own folder for what is not committed: state, passphrase, keys, ssh files. */
export const localDir = (projectRoot: string) => path.join(projectRoot, ".local");

/** The key that `make up` makes for a user who has none. */
export const localSshKey = (projectRoot: string) => path.join(localDir(projectRoot), ".ssh", "id_ed25519");

/**
 * The host that a config names or, when it names none, the embedded libvirt of this checkout.
 *
 * @param projectRoot absolute path of the checkout
 */
export function resolveHost(config: StackConfig, projectRoot: string): ResolvedHost {
  if (config.host) return { settings: config.host, ssh: { ...sshPathTo(config.host.uri), ...identity(projectRoot) } };
  const { uri, storageDir } = embeddedHostFor(projectRoot);
  const { network, virtualization } = defaults.host;
  const settings = { uri, storageDir, network: { kind: "managed" as const, ...network }, virtualization };
  return { settings, ssh: embeddedHostSsh(projectRoot) };
}

/** How this machine reaches the VMs of a checkout's embedded host: through its network namespace. */
export function embeddedHostSsh(projectRoot: string): SshPath {
  const { netns } = embeddedHostFor(projectRoot);
  return { proxyCommand: `nsenter --net=${netns} nc %h %p`, ...identity(projectRoot) };
}

function identity(projectRoot: string): SshPath {
  const identityFile = localSshKey(projectRoot);
  return existsSync(identityFile) ? { identityFile } : {};
}
