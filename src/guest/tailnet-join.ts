import {
  guestText,
  isNodeId,
  isNodeKey,
  isTailnetAddress,
  isTailnetName,
  type NodeId,
  type NodeKey,
  type TailnetAddress,
  type TailnetName,
} from "../core/guest-values.ts";
import { hostName } from "../core/names.ts";
import { apiOfCommand } from "../tailnet/command.ts";
import { type KeyWanted, takeJoinKey } from "../tailnet/join-key.ts";
import type { GuestAgent } from "./agent.ts";
import { readJson, tailscaleAnswer, tailscaleState } from "./answers.ts";
import { GuestRefusal, ProgramError } from "./guest-refusal.ts";

/** What a VM is told to join a tailnet by. */
export interface TailnetJoin {
  /** The control server's URL; undefined: Tailscale's. */
  server?: string | undefined;
  /** The tailnet's domain, in which the VM has its name. */
  domain?: string | undefined;
  /** Whether it is outside, as far as is known: what it has of an identity is put to the test, and may not hold any more. */
  anew: boolean;
  /** Where a key comes from, should the VM have no identity there yet; the key itself is not in here. */
  key: KeyWanted;
}

/** The environment variable that carries it, as JSON. */
export const tailnetVariable = "PROJECT_VMS_TAILNET";

/** A VM as its tailnet knows it. */
export interface TailnetNode {
  /** Its name there, with the domain. @example "project-webapp.tail1234.ts.net" */
  name: TailnetName;
  addresses: TailnetAddress[];
  /** By which the tailnet knows the device. */
  id: NodeId;
  nodeKey: NodeKey;
}

/** How long `tailscale up` waits until it is in the tailnet, in seconds: with a key, and once more where it is logged in already. */
const upSeconds = 45;

/** How long tailscaled may take to find out what it is, in seconds: after its start, and once it has tried to log in. */
const stateSeconds = { start: 60, login: 10 };

/** What the scripts below have in common: `state` once tailscaled knows whether it is logged in. */
const scriptStart = `
set -eu
fail() { echo "$*" >&2; exit 1; }
status() { tailscale status --json --peers=false 2>/dev/null; }
# Whatever it is on its way to, it is there in so many seconds or it is not.
state() {
  tries=0
  while :; do
    state=$(status | jq -r '.BackendState // ""') || state=
    case $state in Running | NeedsLogin | Stopped | NeedsMachineAuth) echo "$state"; return ;; esac
    tries=$((tries + 1))
    [ "$tries" -lt "$1" ] || { echo "\${state:-NoState}"; return; }
    sleep 1
  done
}`;

/** Tailscale's own, as tailscaled notes it where no other is named. */
const defaultServer = "https://controlplane.tailscale.com";

/**
 * Brings tailscaled up and says what it is. Only at its start does it find out that its device was removed: until then it goes on
 * asking as that. One that is logged in to another control server leaves that one.
 */
const lookScript = `${scriptStart}
command -v tailscale >/dev/null || fail "tailscale is not installed in this VM"
mkdir -p /etc/project-vm
: >/etc/project-vm/tailnet
systemctl "$1" tailscaled || fail "tailscaled does not start: $(journalctl --quiet --boot --unit tailscaled --output cat --lines 1)"
state=$(state ${stateSeconds.start})
if [ "$state" = Running ] && [ "$(tailscale debug prefs | jq -r .ControlURL)" != "\${2:-${defaultServer}}" ]; then
  timeout 20 tailscale logout >&2 || true
  state=$(state ${stateSeconds.login})
fi
echo "$state"`;

/**
 * Logs in with the key on standard input; it passes through a file that nobody else can read, for a moment. Under a node key of its
 * own each time: peers that knew a former device by the same one do not reach the new device for minutes. One whose login does not hold
 * any more forgets first what it was, or it registers twice, as that one as well: headscale then has two devices, and the one that
 * stays bears another name. Any other state may be that of a valid device, which a key that lets nobody in must not cost it. One that
 * is logged in and stays on its way connects once more: seen with headscale 0.27, and by itself tailscaled asks again after two minutes.
 */
export const joinScript = `${scriptStart}
umask 077
key=$(mktemp /run/project-vm-key.XXXXXX)
trap 'rm -f "$key"' EXIT
cat >"$key"
[ -s "$key" ] || fail "there is no key to join with"
set -- --hostname="$1" \${2:+--login-server="$2"}
case $(state ${stateSeconds.login}) in
  NeedsLogin) timeout 20 tailscale logout >&2 || set -- --force-reauth "$@" ;;
  *) set -- --force-reauth "$@" ;;
esac
tailscale up --reset --auth-key=file:"$key" --ssh --timeout=${upSeconds}s "$@" 2>&1 | grep -v '^$' >&2 || true
state=$(state ${stateSeconds.login})
if [ "$state" = Starting ]; then
  timeout 20 tailscale down >&2 || true
  timeout ${upSeconds} tailscale up >&2 || true
  state=$(state ${stateSeconds.login})
fi
[ "$state" = Running ] || fail "did not log in: $state"`;

const whoScript = "tailscale status --json --peers=false";

/** Logs out, so that nobody can go on with this identity, and forgets the tailnet; fails where it was not logged out. */
const leaveScript = `
[ -e /etc/project-vm/tailnet ] || exit 0
failed=
timeout 20 tailscale logout 2>&1 || failed=$?
rm -f /etc/project-vm/tailnet
systemctl stop tailscaled
exit $failed`;

/**
 * Has a VM join its tailnet. One that has an identity there, on its project disk, goes on with it and needs no key; a key is
 * made or used only for one that has none, or whose device lacks the tag: that comes with the key. One for a single use is
 * revoked afterwards, whatever the guest says of it.
 *
 * @param limitSeconds for all of it
 * @returns the node
 * @throws ProgramError with what tailscale said, Error that the key gave no such tag
 */
export async function joinTailnet(
  agent: GuestAgent,
  project: string,
  { server = "", domain, anew, key }: TailnetJoin,
  limitSeconds: number,
): Promise<TailnetNode> {
  const end = performance.now() + limitSeconds * 1000;
  const script = (words: string[], secret?: string) => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left <= 0) throw new Error(`it is not in the tailnet after ${limitSeconds} s`);
    return run(agent, ["/bin/sh", "-c", ...words], left, secret);
  };
  const state = (await script([lookScript, "look", anew ? "restart" : "start", server])).trim();
  const look = async () => {
    const said = await script([whoScript]);
    return { node: nodeIn(said, project, domain), isTagged: hasTag(said, project, key.tag) };
  };
  if (state === "Running") {
    const { node, isTagged } = await look();
    if (isTagged) return node;
  }
  const auth = await takeJoinKey(key, () => apiOfCommand(process.env));
  let hasJoined = false;
  try {
    await script([joinScript, "join", hostName(project), server], auth.key);
    const { node, isTagged } = await look();
    if (!isTagged) throw new Error(`the key that it joined with does not give it ${key.tag}`);
    hasJoined = true;
    return node;
  } finally {
    // A guest may have it still, also one that says it is in: it may have been all the time. That a used one is revoked takes nothing
    // from its device. Whatever keeps it from being revoked, it expires by itself.
    if (!hasJoined || !key.reusable) await auth.revoke().catch(() => {});
  }
}

/**
 * Whether a VM finds itself logged out of its tailnet, as after its device was removed there. Where no API can be asked only the
 * guest knows, and may know only after its next start: headscale 0.27 goes on talking to a device that it has removed.
 *
 * @throws GuestRefusal, ProgramError, AgentError when the guest does not say
 */
export async function isLoggedOut(agent: GuestAgent, limitSeconds: number): Promise<boolean> {
  const said = await run(agent, ["/bin/sh", "-c", whoScript], limitSeconds);
  const asked = { guest: agent.domain, question: "tailscale status" };
  return readJson(tailscaleState, said, asked).BackendState === "NeedsLogin";
}

/**
 * Has a VM that was in a tailnet leave it; does nothing in one that was not.
 *
 * @throws GuestRefusal, ProgramError, AgentError when the guest is not known to have logged out
 */
export async function leaveTailnet(agent: GuestAgent, limitSeconds: number): Promise<void> {
  await run(agent, ["/bin/sh", "-c", leaveScript], limitSeconds);
}

/**
 * What `tailscale status --json` says of the node itself. It is the guest that says it: which device the VM is, and what it is
 * called, counts only as far as it can be true.
 *
 * @param domain the tailnet's, where it is known
 * @throws GuestRefusal for what cannot be
 */
export function nodeIn(status: string, project: string, domain?: string): TailnetNode {
  const guest = hostName(project);
  const { Self } = readJson(tailscaleAnswer, status, { guest, question: "tailscale status" });
  const refuse = (field: string, rule: string, value: unknown): never => {
    throw new GuestRefusal(guest, `tailscale status Self ${field}`, rule, value);
  };
  const name = Self.DNSName.replace(/\.$/, "");
  const addresses = Self.TailscaleIPs ?? [];
  if (!isTailnetName(name, project, domain)) {
    const whole = domain === undefined ? guest : `${guest}.${domain}`;
    const rule = `must be ${whole}, or that name with what the tailnet appends to one that is taken; a device that was renamed there must be named back`;
    return refuse("DNSName", rule, name);
  }
  const { ID, PublicKey } = Self;
  if (!isNodeId(ID)) return refuse("ID", "must be a device's ID", ID);
  if (!isNodeKey(PublicKey)) return refuse("PublicKey", "must be `nodekey:` and 64 hexadecimal digits", PublicKey);
  const wrong = addresses.find((address) => !isTailnetAddress(address));
  if (wrong !== undefined) return refuse("TailscaleIPs", "must be addresses that a tailnet gives to devices", wrong);
  return { name, addresses: addresses.filter(isTailnetAddress), id: ID, nodeKey: PublicKey };
}

/** What the guest says of its tags decides only whether it is given a key again. */
function hasTag(status: string, project: string, tag: string): boolean {
  const { Self } = readJson(tailscaleAnswer, status, { guest: hostName(project), question: "tailscale status" });
  return (Self.Tags ?? []).includes(tag);
}

async function run(
  agent: GuestAgent,
  command: [string, ...string[]],
  limitSeconds: number,
  secret?: string,
): Promise<string> {
  const { exitCode, stdout, stderr } = await agent.exec(command, limitSeconds, secret);
  if (exitCode === 0) return stdout;
  const said = `${stdout}${stderr}`.trim().split("\n").slice(-3).join("\n");
  throw new ProgramError(agent.domain, "tailscale", exitCode, guestText(said));
}
