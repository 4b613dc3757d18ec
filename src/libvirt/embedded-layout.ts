import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import path from "node:path";
import { embeddedRoot } from "../core/names.ts";
import { realPath } from "../core/real-path.ts";
import { uriParameters } from "../core/uri-parameters.ts";

/**
 * A private libvirt on this machine: where it lives and how it is reached. All of it follows from the checkout's
 * path.
 */
export interface EmbeddedHost {
  /** The checkout that it belongs to; its stacks say whether guests reach the outside. */
  checkout: string;
  /** All that it keeps, beside the checkout rather than in it: no `git clean` deletes a project's disk. */
  dir: string;
  /** libvirt URI, for this machine's root. */
  uri: string;
  /** Where the pools with the VMs' disks are. */
  storageDir: string;
  /** For `nsenter --net=`: the network that its guests are in. */
  netns: string;
}

/** Longest folder name taken over from the checkout: the socket's path may have 107 bytes. */
const longestName = 40;

/**
 * The embedded host of a checkout. Looks at nothing, makes nothing.
 *
 * @param projectRoot absolute path of the checkout
 * @example embeddedHostFor("/home/me/vms").dir // "/var/lib/project-vms/vms-f6e2ecc4"
 */
export function embeddedHostFor(projectRoot: string): EmbeddedHost {
  const root = path.resolve(projectRoot);
  const name =
    path
      .basename(root)
      .replaceAll(/[^\w.-]/g, "-")
      .slice(0, longestName) || "root";
  const dir = path.join(embeddedRoot, `${name}-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`);
  return {
    checkout: root,
    dir,
    uri: uriOf(dir),
    storageDir: path.join(dir, "vms"),
    netns: netnsOf(dir),
  };
}

const uriOf = (dir: string) => `qemu+unix:///system?socket=${socketIn(dir)}`;

const netnsOf = (dir: string) => path.join(dir, "run/netns");

/**
 * The embedded host of this machine that a URI leads to, whatever checkout's it is and however the URI spells it; undefined: it leads to
 * another libvirt.
 */
export function embeddedHostAt(uri: string): Pick<EmbeddedHost, "dir" | "netns"> | undefined {
  if (!URL.canParse(uri)) return undefined;
  const { protocol, host } = new URL(uri);
  if (host !== "" || !/^qemu(\+unix)?:$/.test(protocol)) return undefined;
  const given = uriParameters(uri).get("socket");
  const socket = given && path.resolve(given);
  const dir = socket && (hostOfSocket(socket) ?? folderOf(socket));
  return dir ? { dir, netns: netnsOf(dir) } : undefined;
}

/** Whether a URI leads to an embedded host. */
export const leadsTo = ({ dir }: Pick<EmbeddedHost, "dir">, uri: string) => embeddedHostAt(uri)?.dir === dir;

const socketIn = (dir: string) => path.join(dir, "run/libvirt/libvirt-sock");

/** The folder whose socket this would be, if it were a host's; undefined for another name. */
const folderOf = (socket: string) =>
  socket.endsWith(socketIn("/")) ? socket.slice(0, -socketIn("/").length) : undefined;

/** The host whose socket this is, by whatever links; by the name that it has where embedded hosts are, as its processes are. */
function hostOfSocket(socket: string): string | undefined {
  const named = folderOf(socket);
  if (named && path.dirname(named) === embeddedRoot) return named;
  const real = realPath(socket);
  const all = entriesOf(embeddedRoot).map((name) => path.join(embeddedRoot, name));
  return all.find((dir) => realPath(socketIn(dir)) === real);
}

/** The names in a folder; none where there is no such folder, or it is root's to read. */
export function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
