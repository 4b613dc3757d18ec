import type { Log } from "../../core/log.ts";
import { ensureHostRuns } from "../../embedded-host/embedded.ts";
import { endedServers, restartServers, serverUsers } from "../../embedded-host/embedded-servers.ts";
import { isUplinkToChange, uplinkUser } from "../../embedded-host/embedded-uplink.ts";
import { userIdOf } from "../../embedded-host/embedded-users.ts";
import { wantsUplink } from "../../embedded-host/uplink-setting.ts";
import { type EmbeddedHost, embeddedHostFor, leadsTo } from "../../libvirt/embedded-layout.ts";
import { type Examined, failure, ok, warning } from "./finding.ts";

/** What the guests of a checkout's embedded host need beside libvirt: their way out, and the DNS and DHCP servers of their networks. */
export function examineEmbeddedHost(root: string, uri: string, log: Log): Examined[] {
  const host = embeddedHostFor(root);
  return leadsTo(host, uri) ? [wayOut(host, log), ...servers(host)] : [];
}

function wayOut(host: EmbeddedHost, log: Log): Examined {
  const check = "way out";
  const user = uplinkUser(host);
  if (!isUplinkToChange(host)) {
    if (user !== undefined && user !== userIdOf(host, "uplink")) return sharesUser(check, "the way out", user);
    return ok(check, user === undefined ? whyNone(host) : "is up");
  }
  const mend = () => ensureHostRuns(host.checkout, host.uri, log);
  const remedy = "project-vm doctor --fix, or make up";
  if (wantsUplink(host.checkout)) return failure(check, "has ended: the VMs reach nothing outside", remedy, mend);
  return warning(check, "is open, though the config says `uplink: false`", remedy, mend);
}

const whyNone = (host: EmbeddedHost) =>
  wantsUplink(host.checkout)
    ? "none: this machine has no default route, or no /dev/net/tun"
    : "none, as `uplink: false` says";

function servers(host: EmbeddedHost): Examined[] {
  const check = "DNS and DHCP";
  const ended = endedServers(host).map((network) => {
    const says = `the server of ${network} (dnsmasq) has ended: VMs on it get no address and find no name`;
    return failure(check, says, "project-vm doctor --fix", () => restartServers(host));
  });
  const own = userIdOf(host, "dnsmasq");
  const shared = serverUsers(host)
    .filter(({ user }) => user !== own)
    .map(({ network, user }) => sharesUser(check, `the server of ${network} (dnsmasq)`, user));
  const ills = [...ended, ...shared];
  return ills.length > 0 ? ills : [ok(check, "the servers of all networks are up")];
}

/** As one that an earlier version started does. */
function sharesUser(check: string, what: string, user: number): Examined {
  const says = `${what} runs as user ${user}, not as one of its own: another process of that user can change what it says, and end it`;
  return warning(check, says, "restart the embedded host: make down, then make up");
}
