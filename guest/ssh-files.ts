import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type SshPath, type SshTarget, sshFiles } from "./ssh-config.ts";

/** Where a stack's files for SSH clients are, below a folder of the checkout that is not committed. */
export function sshFilePaths(dir: string, stack: string): { config: string; knownHosts: string } {
  const stackDir = path.join(dir, "ssh", stack);
  return { config: path.join(stackDir, "config"), knownHosts: path.join(stackDir, "known_hosts") };
}

/** Writes a stack's files for SSH clients anew; a client that reads at that moment sees the old ones or the new ones, whole. */
export function writeSshFiles(paths: { config: string; knownHosts: string }, targets: SshTarget[], via: SshPath): void {
  const files = sshFiles(targets, via, paths.knownHosts);
  mkdirSync(path.dirname(paths.config), { recursive: true });
  replaceFile(paths.knownHosts, files.knownHosts);
  replaceFile(paths.config, files.config);
}

function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
