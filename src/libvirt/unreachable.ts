import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { embeddedRoot } from "../core/names.ts";
import { uriParameters } from "../core/uri-parameters.ts";
import { embeddedHostAt } from "./embedded-layout.ts";
import { isLocal } from "./virsh.ts";
import { VirshError } from "./virsh-error.ts";

/** A host that is reached by ssh, as ssh's own programs are told of it. */
interface SshHost {
  /** @example "-p 2222 root@storage" */
  login: string;
  /** As known_hosts has it. @example "[storage]:2222" */
  known: string;
  user: string;
}

/** What to do about a libvirt that does not answer, by what virsh said; the first that fits. */
const remedies: { when: RegExp; remedy: (host: SshHost) => string }[] = [
  {
    when: /Host key for .* has changed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
    remedy: ({ login, known }) =>
      `Another machine may be answering in its place. If it was reinstalled: ssh-keygen -R '${known}', then log in once by hand and check its new key: ssh ${login}`,
  },
  {
    when: /Host key verification failed/,
    remedy: ({ login }) => `Log in once by hand and check its key: ssh ${login}`,
  },
  {
    when: /libvirt-sock.*Permission denied|org\.libvirt\.unix\.manage/,
    remedy: ({ user }) => `Name root in the URI, or let that user at libvirt, there: adduser ${user} libvirt`,
  },
  {
    when: /Permission denied|publickey|Too many authentication failures/,
    remedy: ({ login }) =>
      `Let your SSH key in there, and into an agent here if it has a passphrase: ssh-copy-id ${login}`,
  },
  {
    when: /kex_exchange_identification|no log-in/,
    remedy: () => "Its SSH server turns log-ins away: try again, or raise MaxStartups in its sshd_config.",
  },
  { when: /Could not resolve|Name or service not known/, remedy: () => "Correct the host's name in the URI." },
  {
    when: /libvirt-sock|virt-ssh-helper|: not found|command not found/,
    remedy: () => "Install and start libvirtd there: apt-get install libvirt-daemon-system",
  },
  {
    when: /refused|timed out|within \d+ s|No route|unreachable/i,
    remedy: ({ login }) => `Is it up? Try: ssh ${login}`,
  },
];

/** The error for a host that cannot be reached: its URI, the reason that virsh gave, what to do. */
export function hostUnreachable(uri: string, reason: string): UserError {
  return new UserError(`The libvirt host ${uri} does not answer.`, [
    {
      path: "host.uri",
      rule: `must lead to a libvirt that answers (${shortened(reason)})`,
      value: uri,
      remedy: remedyFor(uri, reason),
    },
  ]);
}

/** What of a virsh's failure tells that. */
type UnreachableError = Pick<VirshError, "exitCode" | "reason"> & Partial<Pick<VirshError, "isAnswer">>;

/** Whether virsh failed because it had no connection, and not at a command. */
export function isUnreachable({ exitCode, reason, isAnswer }: UnreachableError): boolean {
  return exitCode !== undefined || (!isAnswer && /^no (connection within|log-in)/.test(reason));
}

/**
 * The libvirt provider logs in by itself, and by one kind of key only: where there is an agent, by the agent's, even if that
 * has none. ssh, and so virsh, would go on to the key files.
 *
 * @throws UserError when only virsh could get in
 */
export async function requireAgentKeys(uri: string, environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { protocol } = new URL(uri);
  const takesAgent = (uriParameters(uri).get("sshauth") ?? "agent").split(",")[0] === "agent";
  if (!/^\w+\+ssh:$/.test(protocol) || !takesAgent || !environment.SSH_AUTH_SOCK) return;
  if (!(await isAgentEmpty(environment))) return;
  throw new UserError(`The libvirt host ${uri} does not let the provider in.`, [
    {
      path: "host.uri",
      rule: "must lead to a host that lets in by a key of your SSH agent, which has none (SSH_AUTH_SOCK)",
      value: uri,
      remedy: `Give it one: ssh-add. Or have your key files used: \`${uri}${uri.includes("?") ? "&" : "?"}sshauth=privkey\``,
    },
  ]);
}

/** Where no agent answers the provider goes on to the key files, and ssh-add ends with another code. */
async function isAgentEmpty(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const child = spawn("ssh-add", ["-l"], { env: environment, stdio: "ignore" });
  return once(child, "close").then(
    ([exitCode]) => exitCode === 1,
    () => false, // not installed: then there is no agent either
  );
}

function remedyFor(uri: string, reason: string): string {
  if (isLocal(uri)) {
    const embedded = embeddedHostAt(uri);
    if (embedded && path.dirname(embedded.dir) === embeddedRoot)
      return "Start this checkout's embedded host: make up; `project-vm start` and `apply` start it too";
    if (/Permission denied|authentication/i.test(reason)) return "Run it as root, or as a member of the group libvirt.";
    return "Start libvirtd (systemctl start libvirtd), or leave `host` out of the config for the embedded one.";
  }
  const host = sshHost(uri);
  const known = host && remedies.find(({ when }) => when.test(reason))?.remedy(host);
  return known ?? `Try it by hand: virsh -c '${uri}' list`;
}

function sshHost(uri: string): SshHost | undefined {
  const { protocol, hostname, port, username } = new URL(uri);
  if (!/^\w+\+ssh:$/.test(protocol)) return undefined;
  const user = decodeURIComponent(username);
  const keyFile = uriParameters(uri).get("keyfile");
  const options = [...(port ? [`-p ${port}`] : []), ...(keyFile ? [`-i '${keyFile}'`] : [])];
  return {
    login: [...options, user ? `${user}@${hostname}` : hostname].join(" "),
    known: port ? `[${hostname}]:${port}` : hostname,
    user: user || "<user>",
  };
}

/** The same without what virsh puts before every failure, and without ssh's own remedy. */
const shortened = (reason: string) =>
  reason.replace(/^failed to connect to the hypervisor; /, "").replace(/ remove with:; ssh-keygen [^;]*;/, "");

/** What a command answers; nothing where libvirt says that it has none. That it could not be asked is an error still. */
export async function answerOrNone(asked: Promise<string>): Promise<string> {
  return asked.catch((error: unknown) => {
    if (error instanceof VirshError && error.isAnswer) return "";
    throw error;
  });
}
