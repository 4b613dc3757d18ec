import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { execa } from "../core/execa.ts";
import { programChanges } from "../core/program-environment.ts";
import { whyMayBeThere } from "../embedded-host/gone-folders.ts";
import { lostHosts } from "../embedded-host/lost-hosts.ts";
import { ownBackend } from "./backend.ts";
import { ensureFirstStackFile } from "./first-stack-file.ts";
import { ensurePassphrase, passphraseVariables } from "./passphrase.ts";
import { localDir, localSshKey } from "./resolve.ts";
import { dropAttributes, dropEmptyLayout } from "./state-attributes.ts";
import { userSshKeys } from "./user-ssh-keys.ts";

/** The root of the checkout that a make target is run in, where Pulumi.yaml is. */
export const projectRoot = process.cwd();

/**
 * The checkout whose embedded host a make target works on: this one or, by `GONE=<path>`, one that was moved or deleted.
 *
 * @throws UserError when that one is there, or has no host, or is on a disk that is not mounted
 */
export function checkoutOfHost(environment: NodeJS.ProcessEnv = process.env, lost = lostHosts()): string {
  const { GONE: gone } = environment;
  if (!gone) return projectRoot;
  if (lost.some(({ checkout }) => checkout === gone)) return gone;
  const unknown = path.isAbsolute(gone) ? whyMayBeThere(gone) : undefined;
  if (unknown) throw new UserError(`Whether the checkout ${gone} is gone is not known.`, [unknown]);
  const there = lost.map(({ checkout }) => checkout).join(", ") || "none";
  const remedy = `name one of those that are gone and have a host: ${there}; in a checkout that is there, run make without GONE`;
  throw new UserError("There is no such embedded host.", [
    { path: "GONE", rule: "must be the path of a checkout that is gone, and whose host is there", value: gone, remedy },
  ]);
}

/**
 * Whether `make down` cuts the power of guests that it cannot shut down, or of which libvirt does not tell: by `FORCE=yes`, which the
 * Makefile hands on from its command line alone.
 *
 * @throws UserError for any other word
 */
export function cutsPower({ FORCE: force }: NodeJS.ProcessEnv = process.env): boolean {
  if (!force) return false;
  if (force === "yes") return true;
  const remedy = "to cut the power of guests that cannot be shut down: FORCE=yes; else leave it out";
  throw new UserError("Nothing was stopped.", [{ path: "FORCE", rule: "must be yes", value: force, remedy }]);
}

/**
 * Makes what Pulumi needs in a checkout and git does not keep: the folder of the state, the passphrase of its
 * secrets, and the file of the first stack. What is there stays as it is: without its passphrase a stack's secrets are lost. Only what keeps the engine
 * from reading a state, and holds nothing, is removed.
 */
export function prepareCheckout(root: string): void {
  mkdirSync(localDir(root), { recursive: true, mode: 0o700 });
  // Passphrase, state and keys are nobody else's; one from before may be open.
  if (statSync(localDir(root)).uid === process.getuid?.()) chmodSync(localDir(root), 0o700);
  mkdirSync(path.join(localDir(root), "state"), { recursive: true });
  dropAttributes(root);
  dropEmptyLayout(root);
  ensurePassphrase(root);
  ensureFirstStackFile(root);
}

/**
 * The environment variables under which plain `pulumi` works in a checkout, beside those of the toolchain; `undefined`: to be cleared.
 */
export function checkoutEnvironment(
  root: string,
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string | undefined> {
  return {
    ...programChanges("engine", environment),
    ...passphraseVariables(root, environment),
    ...ownBackend(root, environment),
  };
}

/** Makes an SSH key pair for the VMs of a checkout if its user has none at all. */
export async function ensureSshKey(root: string, log: (line: string) => void): Promise<void> {
  const file = localSshKey(root);
  if (existsSync(file) || userSshKeys(homedir()).length > 0) return;
  log(`no ~/.ssh/id_*.pub: making a key pair for the VMs in ${path.relative(root, file)}`);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "project-vms", "-f", file]);
}
