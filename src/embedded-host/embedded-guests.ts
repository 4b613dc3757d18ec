import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { namePrefix } from "../core/names.ts";
import { shutDown } from "../guest/power.ts";
import { isCopyXml } from "../libvirt/copies.ts";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { parseDomain } from "../libvirt/libvirt-xml.ts";
import { requireNoRestore } from "../libvirt/restore-mark.ts";
import { type Virsh, virshFor, virshSession } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";

/** The names of what is active on a host and defined there for good. */
export interface Running {
  domains: string[];
  networks: string[];
  pools: string[];
}

type Kind = keyof Running;

/** libvirt's status files of what is active, which outlive a crash, and its definitions. */
const places: Record<Kind, { active: string; defined: string; start: string }> = {
  networks: { active: "run/libvirt/network", defined: "libvirt/etc/qemu/networks", start: "net-start" },
  pools: { active: "run/libvirt/storage", defined: "libvirt/etc/storage", start: "pool-start" },
  domains: { active: "run/libvirt/qemu", defined: "libvirt/etc/qemu", start: "start" },
};

/** In this order: guests need the other two. */
const kinds: Kind[] = ["networks", "pools", "domains"];

const rememberedFile = "running.json";

/** Seconds for starting all guests again, one after the other. */
const startLimit = 600;

/** What is active now or, if the host is dead, was when it died. Needs no libvirtd. */
export async function whatRuns(host: EmbeddedHost): Promise<Running> {
  const running: Running = { domains: [], networks: [], pools: [] };
  for (const kind of kinds) {
    const files = await readdir(path.join(host.dir, places[kind].active)).catch(() => []);
    running[kind] = files.filter((file) => file.endsWith(".xml")).map((file) => file.slice(0, -".xml".length));
  }
  return running;
}

/** Writes down what is active, for the next start; what an interrupted stop wrote before stays in it. */
export async function rememberRunning(host: EmbeddedHost): Promise<void> {
  const [before, now] = [await recallRunning(host), await whatRuns(host)];
  const all = Object.fromEntries(kinds.map((kind) => [kind, [...new Set([...before[kind], ...now[kind]])].sort()]));
  if (kinds.every((kind) => all[kind]?.length === 0)) return;
  const file = path.join(host.dir, rememberedFile);
  await writeFile(`${file}.new`, `${JSON.stringify(all, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

/** What {@link rememberRunning} wrote, without what is not defined any more. */
export async function recallRunning(host: EmbeddedHost): Promise<Running> {
  const text = await readFile(path.join(host.dir, rememberedFile), "utf8").catch(() => "{}");
  const read = JSON.parse(text) as Partial<Running>;
  const defined = (kind: Kind) =>
    (read[kind] ?? []).filter((name) => existsSync(path.join(host.dir, places[kind].defined, `${name}.xml`)));
  return { domains: defined("domains"), networks: defined("networks"), pools: defined("pools") };
}

/** Starts what ran before. What does not start is said, and does not stop the rest. */
export async function startAgain(host: EmbeddedHost, running: Running, log: Log): Promise<void> {
  for (const kind of kinds) {
    const names = kind === "domains" ? await startable(host, running.domains, log) : running[kind];
    const batch = names.map((name) => [places[kind].start, name]);
    for (const answer of await virshSession(host.uri, batch, startLimit)) {
      const name = answer.command[1];
      // Those that libvirt started by itself (autostart) are as good.
      if (answer.ok || /already active|already running/.test(answer.error)) {
        if (kind === "domains") log(`embedded host: started ${name} again`);
      } else log(`embedded host: ${name} did not start again: ${answer.error}`);
    }
  }
  await rm(path.join(host.dir, rememberedFile), { force: true });
}

/** Guests but for those whose disk was being restored when all ended, or of which that cannot be seen. */
async function startable(host: EmbeddedHost, domains: string[], log: Log): Promise<string[]> {
  const virsh = virshFor(host.uri);
  const reasons = await Promise.all(
    domains.map((name) => (name.startsWith(namePrefix) ? whyNotStarted(virsh, name) : undefined)),
  );
  return domains.filter((name, i) => {
    if (reasons[i] !== undefined) log(`embedded host: ${name} is not started: ${reasons[i]}`);
    return reasons[i] === undefined;
  });
}

async function whyNotStarted(virsh: Virsh, domain: string): Promise<string | undefined> {
  try {
    // A copy that virt-manager made has no pool of ours.
    if (!isCopyXml(parseDomain(await virsh.run("dumpxml", domain))))
      await requireNoRestore(virsh, domain.slice(namePrefix.length));
    return undefined;
  } catch (error) {
    if (error instanceof VirshError) return `whether a restore of its disk was cut off is not known (${error.reason})`;
    if (!(error instanceof UserError)) throw error;
    return error.issues.map(({ path, rule, remedy }) => `${path} ${rule}; ${remedy}`).join("; ") || error.message;
  }
}

/**
 * Shuts all guests down as their power button would; those that are not off in time are forced off, and it is said
 * which.
 *
 * @param nothingStays whether their disks are to be removed
 * @throws UserError when all others are off and one is paused that does not resume
 */
export async function shutDownGuests(
  host: EmbeddedHost,
  limitSeconds: number,
  log: Log,
  nothingStays = false,
): Promise<void> {
  const active = await activeGuests(host);
  if (active.length === 0) return;
  log(`embedded host: shutting down ${active.join(", ")}`);
  const virsh = virshFor(host.uri);
  const say = (line: string) => log(`embedded host: ${line}`);
  const ends = await Promise.allSettled(active.map((name) => shutDown(virsh, name, say, limitSeconds, nothingStays)));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function activeGuests(host: EmbeddedHost): Promise<string[]> {
  const [answer] = await virshSession(host.uri, [["list", "--name"]]);
  if (!answer?.ok) throw new Error(`cannot list the embedded host's guests: ${answer?.error}`);
  return answer.output.split("\n").filter((name) => name !== "");
}
