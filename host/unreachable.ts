import { UserError } from "../config/errors.ts";
import { embeddedRoot } from "./embedded.ts";
import { isLocal } from "./virsh.ts";

/** What to do about a libvirt that does not answer, by what virsh said; the first that fits. */
const remedies: { when: RegExp; remedy: (target: string) => string }[] = [
  {
    when: /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
    remedy: (target) => `Log in once by hand and check its key: ssh ${target}`,
  },
  {
    when: /Permission denied|publickey/,
    remedy: (target) => `Let your SSH key in there, and into an agent here: ssh-copy-id ${target}`,
  },
  { when: /Could not resolve|Name or service not known/, remedy: () => "Correct the host's name in the URI." },
  { when: /refused|timed out|within \d+ s|No route|unreachable/i, remedy: (target) => `Is it up? Try: ssh ${target}` },
  { when: /virt-ssh-helper|command not found|netcat|libvirt-sock/, remedy: () => "Install and start libvirtd there." },
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

function remedyFor(uri: string, reason: string): string {
  if (uri.includes(`socket=${embeddedRoot}/`)) return "Start this checkout's embedded host: make up";
  if (isLocal(uri)) {
    if (/Permission denied|authentication/i.test(reason)) return "Run it as root, or as a member of the group libvirt.";
    return "Start libvirtd (systemctl start libvirtd), or leave `host` out of the config for the embedded one.";
  }
  const target = sshTarget(uri);
  const known = target && remedies.find(({ when }) => when.test(reason))?.remedy(target);
  return known ?? `Try it by hand: virsh -c '${uri}' list`;
}

/** `root@storage` or, with a port, `-p 2222 root@storage`. */
function sshTarget(uri: string): string | undefined {
  const match = /^\w+\+ssh:\/\/([^/:?]+)(?::(\d+))?/.exec(uri);
  return match?.[2] ? `-p ${match[2]} ${match[1]}` : match?.[1];
}

/** The same without what virsh puts before every failure. */
const shortened = (reason: string) => reason.replace(/^failed to connect to the hypervisor; /, "");
