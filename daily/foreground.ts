import { spawn } from "node:child_process";
import { constants } from "node:os";
import { UserError } from "../config/errors.ts";

/** Debian's packages of the programs that verbs hand the terminal to. */
const packages: Record<string, string> = {
  ssh: "openssh-client",
  scp: "openssh-client",
  virsh: "libvirt-clients",
};

/**
 * Hands the terminal to a program and waits for its end.
 *
 * @returns its exit code or, where a signal ended it, what a shell would say
 * @throws UserError when it is not installed
 */
export function runInForeground(program: string, args: string[]): Promise<number> {
  const child = spawn(program, args, { stdio: "inherit" });
  // Ctrl-C is the program's to make something of; who waits for it hears it too.
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  return new Promise<number>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? notInstalled(program) : error),
    );
    child.once("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGTERM"]));
  }).finally(() => process.off("SIGINT", ignore));
}

function notInstalled(program: string): UserError {
  const remedy = `apt-get install ${packages[program] ?? program}`;
  return new UserError(`${program} is not installed.`, [{ path: program, rule: "must be on PATH", remedy }]);
}
