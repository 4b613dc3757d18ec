import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { SshTarget } from "../guest/ssh-target.ts";
import { storedTargets } from "../guest/stored.ts";
import { type SshPath, sshFiles } from "./ssh-config.ts";

/** A stack's files for SSH clients. */
export interface SshFilePaths {
  config: string;
  knownHosts: string;
  /** What the other two were last made from. */
  targets: string;
}

/** Where a stack's files for SSH clients are, below a folder of the checkout that is not committed. */
export function sshFilePaths(dir: string, stack: string): SshFilePaths {
  const stackDir = path.join(dir, "ssh", stack);
  const [config, knownHosts, targets] = ["config", "known_hosts", "targets.json"].map((name) =>
    path.join(stackDir, name),
  ) as [string, string, string];
  return { config, knownHosts, targets };
}

/**
 * Rewrites a stack's files for SSH clients; a client that reads at that moment sees the old ones or the new ones, whole. A VM
 * that is off, and so has no address, keeps what was last known of it: it will have the same again when it is started.
 */
export function writeSshFiles(paths: SshFilePaths, targets: SshTarget[], via: SshPath): void {
  const before = lastTargets(paths.targets);
  const known = targets.map((target) => {
    const last = before.find(({ name }) => name === target.name);
    return target.addresses.length > 0 || !last ? target : last;
  });
  const files = sshFiles(known, via, paths.knownHosts);
  mkdirSync(path.dirname(paths.config), { recursive: true });
  const facts = known.map(({ name, addresses, hostKeys, tailnetName }) => ({ name, addresses, hostKeys, tailnetName }));
  replaceFile(paths.targets, `${JSON.stringify(facts, null, 2)}\n`);
  replaceFile(paths.knownHosts, files.knownHosts);
  replaceFile(paths.config, files.config);
}

/** What the files were last made from. */
export function lastTargets(file: string): SshTarget[] {
  try {
    return storedTargets(readFileSync(file, "utf8"));
  } catch {
    return []; // the first time
  }
}

function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
