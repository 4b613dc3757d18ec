import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { UserError } from "../core/errors.ts";
import { english, programEnvironment } from "../core/program-environment.ts";
import { shellWord } from "../core/shell-word.ts";
import { uriParameters } from "../core/uri-parameters.ts";
import { logInAgain } from "./log-in.ts";
import { hostUnreachable } from "./unreachable.ts";
import { isLocal } from "./virsh.ts";

/** Runs programs on the machine that a libvirt URI leads to: on this one, or by ssh. */
export interface Shell {
  /** The URI under which programs on that machine reach the same libvirt. */
  readonly uri: string;
  /**
   * Runs a program and gives its standard output. No question is ever asked, and no shell reads the words of `argv`.
   *
   * @throws ShellError when it fails
   * @throws UserError when the host does not answer, or this user may not do that there
   * @example await shell.run(["qemu-img", "info", "-U", "/vms/myapp/project.qcow2"])
   */
  run(argv: string[], options?: RunOptions): Promise<string>;
}

export interface RunOptions {
  /** What the program reads: a text, or a file of this machine. Nothing by default. */
  stdin?: string | { file: string };
  /** An open file of this machine that its output goes to; the answer is then empty. */
  stdout?: number;
  /** Is given each line of its standard error as it comes. */
  onLine?: (line: string) => void;
  /**
   * Once begun it goes on to its end, whatever becomes of this process, its terminal or its connection. It reads
   * nothing, and its output comes when it has ended.
   * @default false
   */
  toTheEnd?: boolean;
}

/** A program on a host that failed: which one, where, how, and the last lines of what it said. */
export class ShellError extends UserError {
  override readonly name = "ShellError";

  /** `this machine`, or what ssh was given. */
  readonly where: string;
  readonly command: string[];
  /** `undefined` when a signal ended it. */
  readonly exitCode: number | undefined;
  /** All of its standard error. */
  readonly stderr: string;

  constructor(where: string, command: string[], exitCode: number | undefined, stderr: string) {
    const code = exitCode === undefined ? "" : ` (exit code ${exitCode})`;
    const shown = command.map((word) => shellWord(shortened(word))).join(" ");
    super(`${shown} failed on ${where}${code}: ${lastLines(stderr) || "it said nothing"}`);
    this.where = where;
    this.command = command;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** What virsh's agent for log-ins by polkit says on a terminal where there is no polkit, and none is needed. */
const noPolkit = "Authorization not available. Check if polkit";

const linesOfReason = 5;
const longestWordShown = 80;

/** Seconds for a connection to come about, and between two signs of life. */
const connectSeconds = 10;
const aliveSeconds = 15;

/**
 * The program in the arguments runs in a session of its own, where no Ctrl-C and no hang-up reaches it, and prints into
 * files, so that there are no pipes to break. They have no names, so that nobody need remove them.
 */
const toTheEndScript = `
out=$(mktemp) && err=$(mktemp) || exit
exec 3>"$out" 4<"$out" 5>"$err" 6<"$err"
rm "$out" "$err"
setsid "$@" </dev/null >&3 2>&5 3>&- 4<&- 5>&- 6<&- &
wait $!
status=$?
cat <&4
cat <&6 >&2
exit $status`;

/**
 * The shell of a libvirt host.
 *
 * @param uri libvirt's URI of it: local ones run programs here, those over ssh run them there, as the URI's user and
 *   with its port and `keyfile`. Host keys are checked, also where the URI says `no_verify`.
 * @throws UserError for a URI that leads elsewhere but not by ssh
 */
export function shellFor(uri: string): Shell {
  const remote = isLocal(uri) ? undefined : sshCommand(uri);
  const where = remote ? remote.target : "this machine";
  return {
    uri: remote ? uriOnHost(uri) : uri,
    run: async (argv, options = {}) => {
      const words = options.toTheEnd ? ["sh", "-c", toTheEndScript, "sh", ...argv] : argv;
      const local = ["env", ...Object.entries(english).map(([name, value]) => `${name}=${value}`), ...words];
      const command = remote ? [...remote.words, local.map(shellWord).join(" ")] : local;
      const once = async () => {
        const { exitCode, stdout, stderr } = await start(command, options);
        if (exitCode === 0) return stdout;
        throw new ShellError(where, argv, exitCode, stderr);
      };
      const saidBySsh = (error: unknown) => (remote && isSshsOwn(error) ? error.stderr : undefined);
      return logInAgain(once, saidBySsh).catch((error: unknown) => {
        throw error instanceof ShellError ? failure(uri, error, remote !== undefined) : error;
      });
    },
  };
}

/** The libvirt of a URI as the programs on its host reach it. @example uriOnHost("qemu+ssh://root@storage/system") === "qemu:///system" */
export function uriOnHost(uri: string): string {
  const { protocol, pathname } = new URL(uri);
  const driver = protocol.replace(/[+:].*$/, "");
  const socket = uriParameters(uri).get("socket");
  return socket ? `${driver}+unix://${pathname}?socket=${socket}` : `${driver}://${pathname}`;
}

/** The words that run a program on a URI's host, but for the program, and the host as ssh names it. */
function sshCommand(uri: string): { words: string[]; target: string } {
  const { protocol, hostname, port, username } = new URL(uri);
  if (!/^\w+\+(ssh|libssh2?):$/.test(protocol)) {
    throw new UserError("No programs can be run on this host.", [
      {
        path: "host.uri",
        rule: "must lead to the host by ssh, for its disks are worked on there",
        value: uri,
        remedy: "write e.g. `qemu+ssh://root@storage/system`",
      },
    ]);
  }
  const host = hostname.replace(/^\[|\]$/g, "");
  const target = username ? `${decodeURIComponent(username)}@${host}` : host;
  const parameters = uriParameters(uri);
  const keyFile = parameters.get("keyfile");
  const options = ["BatchMode=yes", `ConnectTimeout=${connectSeconds}`, `ServerAliveInterval=${aliveSeconds}`];
  const words = [
    parameters.get("command") ?? "ssh",
    "-T",
    ...options.flatMap((option) => ["-o", option]),
    ...(port ? ["-p", port] : []),
    ...(keyFile ? ["-i", keyFile] : []),
    "--",
    target,
  ];
  return { words, target };
}

function start([program = "", ...args]: string[], { stdin, stdout, onLine }: RunOptions): Promise<Ended> {
  const file = typeof stdin === "object" ? openSync(stdin.file, "r") : undefined;
  const child = spawn(program, args, {
    stdio: [typeof stdin === "string" ? "pipe" : (file ?? "ignore"), stdout ?? "pipe", "pipe"],
    env: programEnvironment("script"),
  });
  if (file !== undefined) closeSync(file);
  child.stdin?.on("error", () => undefined); // it ended before it read all; its exit code tells
  child.stdin?.end(stdin);
  const texts = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    texts.stdout += text;
  });
  if (child.stderr) {
    onLines(child.stderr, (line) => {
      if (line.startsWith(noPolkit)) return;
      texts.stderr += `${line}\n`;
      onLine?.(line);
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? notInstalled(program) : error),
    );
    child.once("close", (code) => resolve({ ...texts, exitCode: code ?? undefined }));
  });
}

/** Only a line feed ends a line: what Node's readline takes for an end besides may stand in a file's name. */
function onLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}

interface Ended {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

function notInstalled(program: string): UserError {
  const issue = { path: program, rule: "must be on PATH", remedy: "apt-get install openssh-client" };
  return new UserError(`${program} is not installed.`, [issue]);
}

/** ssh itself ends with 255: ssh(1), EXIT STATUS */
const isSshsOwn = (error: unknown): error is ShellError => error instanceof ShellError && error.exitCode === 255;

/** Of ssh's own failures, of missing rights, and of the program's own. */
function failure(uri: string, error: ShellError, isRemote: boolean): Error {
  const reason = lastLines(error.stderr);
  // What ssh says of a host is known to whoever explains libvirt's connections.
  if (isRemote && isSshsOwn(error)) return hostUnreachable(uri, reason);
  if (!/Permission denied|Operation not permitted|must be superuser/i.test(reason)) return error;
  const remedy = isRemote
    ? "name a user who may in the URI, e.g. `qemu+ssh://root@storage/system`"
    : "run it as root: sudo project-vm …";
  const rule = `must have the right to work on libvirt's disks there (${reason})`;
  return new UserError(`This user may not do that on ${error.where}.`, [{ path: "user", rule, remedy }]);
}

function lastLines(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .slice(-linesOfReason)
    .join("; ");
}

function shortened(word: string): string {
  const [first = ""] = word.trim().split("\n");
  return first.length < word.trim().length || word.length > longestWordShown
    ? `${first.slice(0, longestWordShown)}…`
    : word;
}
