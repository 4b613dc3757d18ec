import { hostName } from "../config/names.ts";

/** A VM as an SSH client reaches it. */
export interface SshTarget {
  /** The project's name; `ssh -F <file> project-<name>` logs in. */
  name: string;
  /** The first is used; a VM without any is left out. */
  addresses: string[];
  /** Public host keys; the client trusts these and no others. */
  hostKeys: string[];
  /** Its name in a tailnet, under which it is reached without a detour. */
  tailnetName?: string | undefined;
}

/** How the client's machine reaches the host's network. */
export interface SshPath {
  /** A command that carries the connection, when the VMs' network is not this machine's. */
  proxyCommand?: string;
  /** A machine to go through, `user@host`. */
  proxyJump?: string;
  /** A private key to offer beside the user's own. */
  identityFile?: string;
}

/** The two files that an SSH client needs. */
export interface SshFiles {
  config: string;
  knownHosts: string;
}

/**
 * Configuration for OpenSSH's client under which `ssh project-<name>` logs in as `dev`, with the host keys pinned.
 *
 * @param knownHostsFile absolute path at which `knownHosts` will stand
 * @example sshFiles([{ name: "myapp", addresses: ["10.77.0.5"], hostKeys: ["ssh-ed25519 AAAA…"] }], {}, "/x/known_hosts")
 */
export function sshFiles(targets: SshTarget[], path: SshPath, knownHostsFile: string): SshFiles {
  const known = ["User dev", `UserKnownHostsFile "${knownHostsFile}"`, "StrictHostKeyChecking yes"];
  const shared = [
    ...known,
    ...(path.proxyCommand ? [`ProxyCommand ${path.proxyCommand}`] : []),
    ...(path.proxyJump ? [`ProxyJump ${path.proxyJump}`] : []),
    ...(path.identityFile ? [`IdentityFile "${path.identityFile}"`] : []),
  ];
  const reachable = targets
    .flatMap(({ name, addresses: [address], hostKeys, tailnetName }) =>
      address ? [{ alias: hostName(name), address, hostKeys, tailnetName }] : [],
    )
    .sort((a, b) => a.alias.localeCompare(b.alias));
  const section = (...lines: string[]) => lines.join("\n  ").concat("\n");
  const sections = reachable.flatMap(({ alias, address, tailnetName }) => [
    section(`Host ${alias}`, `HostName ${address}`, `HostKeyAlias ${alias}`, ...shared),
    ...(tailnetName ? [section(`Host ${tailnetName}`, `HostKeyAlias ${alias}`, ...known)] : []),
  ]);
  return {
    config: sections.join("\n"),
    knownHosts: reachable.flatMap(({ alias, hostKeys }) => hostKeys.map((key) => `${alias} ${key}\n`)).join(""),
  };
}

/**
 * How this machine reaches the VMs of a libvirt URI: directly when the host is this machine, else through the host, by the key that
 * the URI names, if any: a ProxyJump would not take that.
 *
 * @example sshPathTo("qemu+ssh://root@storage/system") // { proxyJump: "root@storage" }
 */
export function sshPathTo(uri: string): SshPath {
  const { hostname, port, username, searchParams } = new URL(uri);
  if (!hostname) return {};
  const login = `${username ? `${username}@` : ""}${hostname}`;
  const keyFile = searchParams.get("keyfile");
  if (!keyFile) return { proxyJump: port ? `${login}:${port}` : login };
  // OpenSSH puts values in for what begins with %, and has a shell read the rest.
  const key = `'${keyFile.replaceAll("'", `'\\''`).replaceAll("%", "%%")}'`;
  return { proxyCommand: `ssh -i ${key} ${port ? `-p ${port} ` : ""}-W '[%h]:%p' ${login}` };
}
