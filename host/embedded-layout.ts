import { createHash } from "node:crypto";
import path from "node:path";
import { embeddedRoot } from "../config/names.ts";

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

const uriOf = (dir: string) => `qemu+unix:///system?socket=${dir}/run/libvirt/libvirt-sock`;

const netnsOf = (dir: string) => path.join(dir, "run/netns");

/** The embedded host of this machine that a URI leads to, whatever checkout's it is; undefined: it leads to another libvirt. */
export function embeddedHostAt(uri: string): Pick<EmbeddedHost, "dir" | "netns"> | undefined {
  const [, dir = ""] = /\?socket=(.*)\/run\/libvirt\/libvirt-sock$/.exec(uri) ?? [];
  return uri === uriOf(dir) ? { dir, netns: netnsOf(dir) } : undefined;
}
