import { readdirSync } from "node:fs";
import path from "node:path";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { waitFor } from "./embedded-process.ts";
import { processesInside, userOf } from "./inside-processes.ts";

/** Seconds for libvirtd to start servers that have ended. */
const limit = 10;

/** Networks of a running host whose DNS and DHCP server has ended, though libvirt has not stopped it. */
export function endedServers(host: EmbeddedHost): string[] {
  const up = serverUsers(host).map(({ network }) => network);
  return networksServed(host).filter((network) => !up.includes(network));
}

/** The users that the DNS and DHCP servers of a host's networks run as. Beside each is root's, who notes leases and ends with it. */
export function serverUsers(host: EmbeddedHost): { network: string; user: number }[] {
  return processesInside(host).flatMap((one) => {
    const [, network] = one.words.map((word) => configOf.exec(word)).find((match) => match !== null) ?? [];
    const user = network === undefined ? undefined : userOf(one);
    return network === undefined || !user ? [] : [{ network, user }];
  });
}

/** As libvirt starts dnsmasq. */
const configOf = /^--conf-file=\/var\/lib\/libvirt\/dnsmasq\/(.+)\.conf$/;

/** What of libvirt's own looks after its networks at each reload of its configuration: it starts what has ended. */
export async function restartServers(host: EmbeddedHost): Promise<void> {
  const libvirtd = processesInside(host).find(({ words: [program = ""] }) => path.basename(program) === "libvirtd");
  if (libvirtd) process.kill(libvirtd.pid, "SIGHUP");
  await waitFor("libvirtd to start dnsmasq", limit, () => endedServers(host).length === 0);
}

/** libvirt keeps a file on each network that is up, and one on its server until it stops that itself. */
function networksServed({ dir }: EmbeddedHost): string[] {
  try {
    const files = readdirSync(path.join(dir, "run/libvirt/network"));
    const names = files.filter((file) => file.endsWith(".xml")).map((file) => file.slice(0, -".xml".length));
    return names.filter((name) => files.includes(`${name}.pid`));
  } catch {
    return []; // it has none yet
  }
}
