import { loginIn } from "../config/config-values.ts";
import { InvalidValue, UserError } from "../core/errors.ts";
import type { HostKey, TailnetName } from "../core/guest-values.ts";
import { hostName } from "../core/names.ts";
import { uriParameters } from "../core/uri-parameters.ts";
import type { SshTarget } from "../guest/ssh-target.ts";

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
 * @throws UserError for a value that would be more, or something else, than the one value of its line
 * @example sshFiles([{ name: "myapp", addresses: [address], hostKeys: [key] }], {}, "/x/known_hosts")
 */
export function sshFiles(targets: SshTarget[], path: SshPath, knownHostsFile: string): SshFiles {
  const known = [
    line("User", word("dev")),
    line("UserKnownHostsFile", file(knownHostsFile)),
    line("StrictHostKeyChecking", word("yes")),
    // A guest knows no password of its user's, and its server may be a replaced one, which would ask for some.
    line("PreferredAuthentications", word("publickey")),
    line("PasswordAuthentication", word("no")),
    line("KbdInteractiveAuthentication", word("no")),
    // A server that accepts and says nothing, or says nothing any more, is given up.
    line("ConnectTimeout", word("30")),
    line("ServerAliveInterval", word("30")),
    line("ServerAliveCountMax", word("4")),
  ];
  const shared = [
    ...known,
    ...(path.proxyCommand ? [line("ProxyCommand", command(path.proxyCommand))] : []),
    ...(path.proxyJump ? [jumpLine(word(path.proxyJump), knownHostsFile)] : []),
    ...(path.identityFile ? [line("IdentityFile", file(path.identityFile))] : []),
  ];
  const reachable = targets
    .flatMap(({ name, addresses: [address], hostKeys, tailnetName }) =>
      address ? [{ alias: hostName(name), address, hostKeys, tailnetName }] : [],
    )
    .sort((a, b) => a.alias.localeCompare(b.alias));
  const aliases = reachable.map(({ alias }) => alias);
  const section = (...lines: string[]) => lines.join("\n  ").concat("\n");
  const sections = reachable.flatMap(({ alias, address, tailnetName }) => {
    const pinned = line("HostKeyAlias", word(alias));
    const inTailnet = tailnetName && !isAnothers(tailnetName, alias, aliases) ? tailnetName : undefined;
    return [
      section(line("Host", word(alias)), line("HostName", word(address)), pinned, ...shared),
      ...(inTailnet ? [section(line("Host", word(inTailnet)), pinned, ...known)] : []),
    ];
  });
  return {
    config: sections.join("\n"),
    knownHosts: reachable.flatMap(({ alias, hostKeys }) => hostKeys.map((key) => knownHost(alias, key))).join(""),
  };
}

/**
 * OpenSSH makes a ProxyJump a command that names this file, and then reads a `%` of its path as a token: from such a folder it is a
 * command of our own.
 */
function jumpLine(jump: Value, fileBeside: string): string {
  if (!fileBeside.includes("%")) return line("ProxyJump", jump);
  return line("ProxyCommand", command(`ssh -W '[%h]:%p' 'ssh://${jump}'`));
}

/** Whether a VM says that it has, in the tailnet, the name of another VM of the stack: `project-web-1` can be either's. */
function isAnothers(tailnetName: TailnetName, alias: string, aliases: string[]): boolean {
  const [first = ""] = tailnetName.split(".");
  return first !== alias && aliases.includes(first);
}

/*
 * A value of the file, as its line may hold it. Of each kind there is one function, and no other way into a line: what OpenSSH
 * would read as another line, another word, an option, a token (%) or a variable is refused, or written so that it stands for itself.
 */
type Value = string & { readonly isSshValue: unique symbol };

const line = (keyword: string, value: Value) => `${keyword} ${value}`;

/** A host, an address, a user, a jump. */
function word(text: string): Value {
  if (/^[A-Za-z0-9_[:][\w.:@+[\]-]*$/.test(text)) return text as Value;
  throw notInSshFiles("a host, address or user", text, "must be one word of letters, digits and any of `.:@+-_[]`");
}

/** A file, by its path; OpenSSH knows no way to write a quote in one. */
function file(path: string): Value {
  if (/^\/[^\p{Cc}"\\]*$/u.test(path) && !path.includes("${")) return `"${path.replaceAll("%", "%%")}"` as Value;
  throw notInSshFiles(
    "a file",
    path,
    'must be an absolute path without quotes ("), backslashes, `${` and line breaks',
    "move the checkout, or what the path names, to a folder with another name",
  );
}

/** A command line for a shell, whose `%` words OpenSSH replaces: built here and in {@link sshPathTo}, never by a guest. */
function command(text: string): Value {
  if (/^[^-\s\p{Cc}][^\p{Cc}]*$/u.test(text)) return text as Value;
  throw notInSshFiles("a command", text, "must be one line that does not begin with `-`");
}

/** A line of known_hosts. */
const knownHost = (alias: string, key: HostKey) => `${word(alias)} ${hostKey(key)}\n`;

/** That it is a key its type tells; here, that it is one line of two words. */
function hostKey(text: HostKey): string {
  if (/^[a-z0-9-]+ [A-Za-z0-9+/]+=*$/.test(text)) return text;
  throw notInSshFiles("a host key", text, "must be a key's type and its base64");
}

function notInSshFiles(
  what: string,
  value: string,
  rule: string,
  remedy = "correct it where it comes from: the stack's `host.uri`, or the VM itself",
): UserError {
  return new UserError("The files for SSH clients are not written.", [{ path: what, rule, value, remedy }]);
}

/**
 * How this machine reaches the VMs of a libvirt URI: directly when the host is this machine, else through the host, by the key that
 * the URI names, if any: a ProxyJump would not take that.
 *
 * @throws UserError for a URI whose user or host is none that could be handed to ssh
 * @example sshPathTo("qemu+ssh://root@storage/system") // { proxyJump: "root@storage" }
 */
export function sshPathTo(uri: string): SshPath {
  const url = new URL(uri);
  const { port } = url;
  if (!url.hostname) return {};
  const login = loginOf(uri, url);
  const keyFile = uriParameters(url).get("keyfile");
  if (!keyFile) return { proxyJump: port ? `${login}:${port}` : login };
  // OpenSSH puts values in for what begins with %, and has a shell read the rest.
  const key = `'${keyFile.replaceAll("'", `'\\''`).replaceAll("%", "%%")}'`;
  return { proxyCommand: `ssh -i ${key} ${port ? `-p ${port} ` : ""}-W '[%h]:%p' ${login}` };
}

function loginOf(uri: string, url: URL): string {
  try {
    return loginIn(url);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    const { rule, remedy } = error;
    throw new UserError("The VMs of this host cannot be reached by SSH.", [
      { path: "host.uri", rule, value: uri, remedy },
    ]);
  }
}
