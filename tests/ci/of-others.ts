import { readFileSync } from "node:fs";
import path from "node:path";
import type { Census } from "./census.ts";
import type { Difference } from "./things.ts";

/*
 * What a run of the tests did not do, or may not have done. Whose a file is that was made meanwhile no look can tell; so these lists
 * are short: what a machine writes by itself at any time is not looked at, and where other work goes on is named as that.
 */

/** Not looked at, by why not: below these places the machine's own programs write, also when nobody works on it. */
const machinesOwn: Record<string, string[]> = {
  "settings of the network, the linker's cache, the clock's drift, locks": [
    "/etc/(resolv\\.conf|ld\\.so\\.cache|mtab|adjtime|\\.pwd\\.lock)",
    "/run/(xtables\\.lock|mount|blkid|lvm|utmp|NetworkManager|resolvconf|dhclient[^/]*|chrony[^/]*)",
    "/var/lib/(NetworkManager|dhcp|dhclient|chrony|ntp[^/]*)",
  ],
  "systemd, its services, sessions and timers; their units are looked at by themselves": [
    "/run/(systemd|udev|dbus|user|credentials|log|sudo|agetty\\.reload|initctl)",
    "/var/lib/(systemd|private|AccountsService|upower|udisks2|bluetooth|colord|fwupd|polkit-1|sudo)",
    "/var/cache/(private|fwupd|app-info)",
  ],
  // An installation is known by apt's history.
  "daily timers: lists of packages, backups of dpkg's, manuals, names of files, rotation of logs, news": [
    "/var/lib/(apt|PackageKit|man-db|[mp]locate|logrotate|update-notifier|ubuntu-[^/]*|command-not-found|swcatalog)",
    "/var/cache/(apt|PackageKit|man|motd-news)",
    "/(var/backups|var/spool/anacron|run/(motd\\.[^/]*|ubuntu-advantage|crond\\.[^/]*)|boot/grub/grubenv)",
  ],
  "the system's logs, and what rotation makes of any log": [
    "/var/log/(journal|sysstat|private|azure|amazon|installer|unattended-upgrades)",
    "/var/log/((sys|auth\\.|kern\\.|daemon\\.|user\\.|cron\\.|mail\\.|waagent\\.|cloud-init|cloud-init-output\\.)log|messages|secure)",
    "/var/log/([wb]tmp|lastlog|faillog|dmesg)[^/]*",
    "/var/log/.*(\\.\\d+|\\.gz|\\.xz|\\.old|-\\d{8})",
  ],
  "containers, clouds and mail": [
    "/(run|var/lib)/(docker|containerd|containers|runc|snapd|lxd|waagent|cloud|amazon|google)[^/]*",
    "/var/cache/snapd|/snap|/var/spool/(postfix|exim4|rsyslog|cups)",
  ],
  "libvirt's own daemons, which start when they are asked and end by themselves": [
    "/run/libvirt/(libvirt|virt[a-z]+)d?[^/]*(\\.pid|-sock[^/]*)",
  ],
  "the agent by which CI is run": [".*/(_diag|_temp)"],
};

const machinesOwnFiles = `^(${Object.values(machinesOwn).flat().join("|")})(/|$)`;

/** What other checkouts have installed and committed, most of all files of a developer's: where others work it would tell nothing. */
const othersHeaps = "^/(?!usr/).*/(node_modules|\\.git/objects)/[^/]+";

/** What is not looked at; on a machine of the run's own, only what that machine itself writes. */
export const passedOver = (isOwnMachine: boolean) =>
  new RegExp(isOwnMachine ? machinesOwnFiles : `${machinesOwnFiles}|${othersHeaps}`);

/** On a runner that GitHub hosts nobody else is at work; it says so by this variable. */
export const isOwnMachine = ({ RUNNER_ENVIRONMENT }: NodeJS.ProcessEnv) => RUNNER_ENVIRONMENT === "github-hosted";

/** Files that other work may have made or changed, by whose. */
const othersFiles: Record<string, RegExp> = {
  "shells, editors and agents of a user's, who may be at work meanwhile":
    /\/(\.(bash|python|zsh)_history|\.lesshst|\.viminfo|\.claude|\.claude\.json)(\/|$)/,
  "compiled by whichever Python reads a module first": /\/__pycache__(\/|$)/,
  "VMs of a libvirt that is the machine's own": /^\/(run|var\/log|var\/cache)\/libvirt\//,
};

/** Where all programs of the machine, and in a home all of its user's, have settings, data and logs, each by its name. */
const machinesPrograms = ["/etc", "/var/lib", "/var/log"];
const homesPrograms = [".config", ".cache", ".mozilla", ".local/share", ".local/state"];

/** What tests put another file over for their own processes, or is made where a path is not what it seems. */
const testedPlaces = /^\/etc\/(passwd|netns)/;

/** What an installation of Debian packages changes. */
export const packagesPlaces = /^\/(etc|usr|boot|run|var\/(lib|cache|log))\//;

/** Here too, but what is new here is the run's. */
const machinesLibvirt = "/var/lib/libvirt";

/** What files are called that programs of a run leave behind where others have theirs. */
const ourNames =
  /^(project-vms|pvms|pulumi|go-build|go-tool|go$|tsx-|vite|npm-|node-|mmdebstrap|qemu|libvirt|LIBVIRT_|tailscale|headscale|xorriso|virt|virbr|tmux-|claude)/;

/** Whether any folder of a path, or any word of a rule or a command, is called so. */
const namesOurs = (name: string) => name.split(/[\s/:"]+/).some((word) => ourNames.test(word));

/** What `make` itself installs, and with which words: who else installs some of these seldom says it so. */
const ourPackages = new Set([...packagesOf("toolchain/debian-packages.sh"), ...packagesOf("Makefile")]);
const isOurInstallation = (command: string) =>
  command.includes(" --no-install-recommends ") && command.split(/\s+/).some((word) => ourPackages.has(word));

/** The packages in the list of the script that installs them, or behind a call of it. */
function packagesOf(file: string): string[] {
  const text = readFileSync(path.resolve(import.meta.dirname, "../..", file), "utf8");
  const lists = [...text.matchAll(/^packages=\(\n([^)]*)^\)|debian-packages\.sh (.*) >&2$/gm)];
  const words = lists.flatMap(([, list = "", named = ""]) => `${list} ${named}`.replace(/#.*$/gm, "").split(/\s+/));
  return words.filter((word) => /^[a-z]/.test(word));
}

/** What has no place among the files, and what all the machine's programs make: VPNs, firewalls, other VMs, whoever installs. */
const withoutPlace = ["firewall rule", "kernel setting", "network interface", "package installation"];

/** Where the work of others is on a machine, and where it is not. */
export interface OthersPlaces {
  /** The run's folder of temporary files: whatever is in it is the run's. */
  temporary: string;
  /** The user's: others can write there, but few do. */
  homes: string[];
  /** Folders in which all programs put theirs. */
  shared: string[];
  /** Embedded hosts of other checkouts. */
  hosts: string[];
  /** Whether others may have installed or removed Debian packages meanwhile. */
  hasInstalled?: boolean;
}

/** Above these a checkout's neighbours are not looked for. */
const tops = ["/", "/home", "/opt", "/srv", "/usr", "/usr/local", "/var", "/var/lib", "/mnt", "/tmp", "/var/tmp"];

/**
 * Folders in which all programs put theirs, and that in which this checkout is, below the home or the root: beside it are others.
 *
 * @param own the run's folder of temporary files, and the user's homes
 */
export function sharedPlaces(checkout: string, own: string[]): string[] {
  const end = [...tops, ...own];
  let beside = path.dirname(checkout);
  while (!end.includes(beside) && !end.includes(path.dirname(beside))) beside = path.dirname(beside);
  const folders = ["/tmp", "/var/tmp", "/dev/shm", "/home", ...(end.includes(beside) ? [] : [beside])];
  return folders.filter((folder) => !own.includes(folder));
}

const isIn = (file: string, folder: string) => file.startsWith(`${folder}/`);

/** Whether other work on the machine may have done it. Pure: by its place, and by what was there before. */
export function mayBeOthers({ kind, word, name }: Difference, places: OthersPlaces, before: Census): boolean {
  if (places.hosts.some((host) => name === host || name.includes(`${host}/`))) return true;
  if (kind === "package installation" && isOurInstallation(name)) return false;
  if (withoutPlace.includes(kind)) return !namesOurs(name);
  if (!["file", "mount", "network namespace"].includes(kind)) return false;
  const own = innermost([...places.homes, places.temporary], name);
  const shared = innermost(places.shared, name);
  if (own === places.temporary && own.length > shared.length) return false;
  if (Object.values(othersFiles).some((pattern) => pattern.test(name))) return true;
  if (word !== "left" && isIn(name, machinesLibvirt)) return true;
  if (isOfProgram(name, places, Math.max(own.length, shared.length))) return true;
  // Other runs change and remove what is called so and is theirs.
  if (shared.length > own.length) return word !== "left" || !ourNames.test(name.slice(shared.length + 1));
  return isInCheckout(name, own, before);
}

/** Whether it may be another program's, by where those have theirs. @param length of a folder nearer than which that is to be */
function isOfProgram(name: string, { homes, hasInstalled }: OthersPlaces, length: number): boolean {
  if (hasInstalled && packagesPlaces.test(name)) return !namesOurs(name);
  const inHomes = homes.flatMap((home) => homesPrograms.map((folder) => path.join(home, folder)));
  const folder = innermost([...machinesPrograms, ...inHomes], name);
  return folder.length > length && !testedPlaces.test(name) && !namesOurs(name.slice(folder.length));
}

/** Of the folders that something is in the one that is nearest to it. */
const innermost = (folders: string[], name: string) =>
  folders.filter((folder) => isIn(name, folder)).reduce((a, b) => (b.length > a.length ? b : a), "");

/** Whether it is in a checkout of something that was there before; the home itself may be one. */
function isInCheckout(name: string, own: string, before: Census): boolean {
  for (let dir = path.dirname(name); dir !== own && dir !== "/"; dir = path.dirname(dir))
    if (before.file && path.join(dir, ".git") in before.file) return true;
  return false;
}
