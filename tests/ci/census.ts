import { readFileSync } from "node:fs";
import path from "node:path";
import { embeddedRoot } from "../../src/core/names.ts";
import { filesIn, namesIn } from "./files.ts";
import { type Checkouts, hostThings } from "./hosts.ts";
import { isOfMachine, type Mount, parseMounts } from "./mounts.ts";
import { firewallRules, networkSettings } from "./network.ts";
import { processesOfRun, type RunMarks } from "./processes.ts";
import type { Things } from "./things.ts";

/** What a machine has at one moment, of all that a run may leave behind. */
export type Census = Record<string, Things>;

/** What is looked at. */
export interface Watched extends RunMarks, Checkouts {
  /** Folders, all that is below them on the same filesystem. */
  roots: string[];
  /** Folders in which everything may change: the checkout, the caches. */
  exempt: string[];
  /** Files that are not looked at wherever they are, such as what the machine itself writes. */
  passedOver?: RegExp;
}

/** Takes a look; changes nothing. */
export function takeCensus(watched: Watched): Census {
  const held = heldNow();
  // What is mounted below a root is another filesystem, or the same once more; each that counts is a root of its own.
  const exempt = [...watched.exempt, embeddedRoot];
  const passedOver = [...exempt, ...parseMounts(held.mountinfo).map(({ place }) => place)];
  const roots = watched.roots.filter((root) => !exempt.some((place) => `${root}/`.startsWith(`${place}/`)));
  return {
    process: processesOfRun(watched),
    ...heldThings(held),
    "network interface": named(namesIn("/sys/devices/virtual/net").filter((name) => !dockerLink.test(name))),
    "systemd unit": named(["system", "transient"].flatMap((folder) => unitsIn(`/run/systemd/${folder}`))),
    "host folder": hostThings(watched),
    "package installation": packageCommands(),
    "firewall rule": firewallRules(),
    "kernel setting": networkSettings(),
    file: filesIn(roots, passedOver, watched.passedOver),
  };
}

/** Docker's bridges, and its ends of containers' cables. */
const dockerLink = /^(docker\d+|br-[0-9a-f]{12}|veth[0-9a-f]{7})$/;

/** What a machine's kernel tells of what it holds. */
interface Held {
  /** `/proc/self/mountinfo` */
  mountinfo: string;
  /** Files of /sys, each with the file that its loop device is of. */
  loops: [string, string][];
}

function heldNow(): Held {
  const files = namesIn("/sys/block").map((name) => `/sys/block/${name}/loop/backing_file`);
  return { mountinfo: read("/proc/self/mountinfo"), loops: files.map((file) => [file, read(file).trim()]) };
}

/**
 * What .ci/run notes before make's preparation, as no program of the checkout can be run then: mountinfo, and lines of grep, a file of
 * /sys and what is in it.
 */
export function heldAtStart(text: string): Census {
  const loops = [...text.matchAll(/^(\/sys\/[^:\n]*):(.*)$/gm)].map(([, file = "", of = ""]): [string, string] => [
    file,
    of,
  ]);
  return heldThings({ mountinfo: text.replace(/^\/sys\/.*$/gm, ""), loops });
}

function heldThings({ mountinfo, loops }: Held): Census {
  const mounts = parseMounts(mountinfo);
  const places = (isWanted: (mount: Mount) => boolean) =>
    named(mounts.filter(isWanted).map(({ place, type }) => `${place} (${type})`));
  // A loop device that is none at the moment has no file; snapd has its own.
  const used = loops.filter(([, of]) => of !== "" && !of.startsWith("/var/lib/snapd/"));
  return {
    "network namespace": places(({ type }) => type === "nsfs"),
    mount: places(({ type, place }) => type !== "nsfs" && !isOfMachine(place)),
    "loop device": named(used.map(([file, of]) => `/dev/${file.split("/")[3]} of ${of}`)),
  };
}

/** Units that are not read from files in /etc; sessions and users come and go as scopes and slices. */
const unitsIn = (folder: string) =>
  namesIn(folder)
    .filter((name) => /\.(service|timer|socket|path|mount)$/.test(name))
    .map((name) => path.join(folder, name));

/** What installed or removed Debian packages: no test may. What the machine's own timer upgrades is not the run's. */
function packageCommands(): Things {
  return named(parseAptHistory(read("/var/log/apt/history.log")).filter((entry) => !isUnattended(entry)));
}

const isUnattended = (entry: string) => /unattended-upgrade|packagekit/i.test(entry);

/** Whether the machine's own timer was at work between two looks: then its packages' files are not the run's. */
export const unattendedUpgrades = () => parseAptHistory(read("/var/log/apt/history.log")).filter(isUnattended).length;

/** Each entry of apt's history as its time and its command. */
export function parseAptHistory(text: string): string[] {
  return text.split(/\n\s*\n/).flatMap((entry) => {
    const [, date] = /^Start-Date: (.*)$/m.exec(entry) ?? [];
    const [, command = "unknown command"] = /^Commandline: (.*)$/m.exec(entry) ?? [];
    return date ? [`${date.replace(/ +/, " ")} ${command}`] : [];
  });
}

const named = (names: string[]): Things => Object.fromEntries(names.map((name) => [name, ""]));

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
