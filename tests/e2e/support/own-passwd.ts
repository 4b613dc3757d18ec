import { readFileSync, writeFileSync } from "node:fs";

/**
 * What a program takes for this machine's list of users when root's home is to be another: OpenSSH and servers that log users in look
 * there and not at HOME.
 *
 * @param file is written; {@link withPasswd} has a program read it
 */
export function writePasswd(file: string, home: string): void {
  writeFileSync(file, readFileSync("/etc/passwd", "utf8").replace(/^root:.*$/m, `root:x:0:0:root:${home}:/bin/sh`));
}

/** A command in a mount namespace of its own, in which the file is `/etc/passwd`. It becomes the command: its PID stays the same. */
export const withPasswd = (file: string, command: string[]) => [
  "unshare",
  "--mount",
  "sh",
  "-ec",
  'mount --bind "$1" /etc/passwd\nshift\nexec "$@"',
  "sh",
  file,
  ...command,
];
