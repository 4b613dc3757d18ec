import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { embeddedRoot } from "../../src/core/names.ts";
import { checkoutFile } from "../../src/embedded-host/lost-hosts.ts";
import { filesIn, namesIn } from "./files.ts";
import { type Seen, seenProcesses } from "./processes.ts";
import type { Things } from "./things.ts";

/** Where checkouts are that embedded hosts belong to. */
export interface Checkouts {
  /** The run's folders. */
  folders: string[];
  /** Those of them in which its tests make checkouts: the one that is tested, whose VMs a user may have running, is not among them. */
  made: string[];
}

/** Whose an embedded host is, by the checkout that its folder names; of the tested one's or an unknown one's it counts when it came. */
export type Owner = "run" | "other" | "by time";

/** The folders of embedded hosts, each with its owner. */
export function hostFolders(checkouts: Checkouts, root = embeddedRoot): Map<string, Owner> {
  return new Map(
    namesIn(root)
      .sort()
      .map((name) => [path.join(root, name), ownerOf(path.join(root, name), checkouts)]),
  );
}

function ownerOf(dir: string, { folders, made }: Checkouts): Owner {
  // The lock of a host lies beside it.
  const checkout = textOf(path.join(dir.replace(/\.lock$/, ""), checkoutFile));
  if (checkout === undefined) return "by time";
  const isIn = (places: string[]) => places.some((place) => `${checkout}/`.startsWith(`${place}/`));
  if (isIn(made)) return "run";
  return isIn(folders) ? "by time" : "other";
}

/** Embedded hosts; one of a checkout that tests made, which an earlier run may have left, has a mark of all that is in it. */
export function hostThings(checkouts: Checkouts, root = embeddedRoot): Things {
  const digest = (dir: string) =>
    createHash("sha256")
      .update(JSON.stringify(filesIn([dir], [])))
      .digest("hex");
  return Object.fromEntries(
    [...hostFolders(checkouts, root)].map(([dir, owner]) => [dir, owner === "run" ? digest(dir) : ""]),
  );
}

/** Whether a process is told of something of the host's: so are all that a host consists of. */
export const isInUse = (dir: string, seen: Seen[] = seenProcesses()) =>
  seen.some(({ words }) => words.some((word) => word.endsWith(dir) || word.includes(`${dir}/`)));

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}
