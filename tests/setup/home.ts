import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/** The variables that say where a user's files are; all of them lead into a test file's own home. */
export const placeVariables = [
  "HOME",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "XDG_STATE_HOME",
  "XDG_RUNTIME_DIR",
  "TMPDIR",
] as const;

/** Variables by which programs find something of the user's elsewhere: keys, a session, settings. */
export const userVariables = [
  "SSH_AUTH_SOCK",
  "SSH_AGENT_PID",
  "SSH_ASKPASS",
  "GNUPGHOME",
  "GIT_CONFIG_GLOBAL",
  "DOCKER_CONFIG",
  "CLAUDE_CONFIG_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "LIBVIRT_DEFAULT_URI",
  "VIRSH_DEFAULT_CONNECT_URI",
  "BASH_ENV",
  "ZDOTDIR",
  "XAUTHORITY",
  "KRB5CCNAME",
  // A program in a terminal's own server, or one that git started, would act on that server or that checkout.
  "TMUX",
  "STY",
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_OBJECT_DIRECTORY",
  // npx hands on the user's cache and its logs.
  "npm_config_cache",
  "npm_config_logs_dir",
  "npm_config_tmp",
  "NODE_COMPILE_CACHE",
  "GOBIN",
  "GOPATH",
  "PULUMI_ACCESS_TOKEN",
  "PULUMI_BACKEND_URL",
];

/**
 * So do these, whatever program they are for: histories, temporary files, credentials, logs. By what they are called and not by where
 * they lead: the same home may hold the programs, the certificates and the caches that tests need.
 */
const userPatterns = [
  /HIST(FILE|ORY|_FILE|ORY_FILE)$/,
  /^(TE?MP|TEMPDIR|\w+_?TMPDIR|\w+_TE?MP)$/,
  /_CREDENTIALS(_\w+)?$/,
  /_LOGS?_(DIR|FILE|PATH|OUTPUTS)$/,
  // Their programs are set up by these alone.
  /^(TS|HEADSCALE|LIBVIRT|VIRSH)_/,
];

/** The names of those variables in an environment that lead to something of the user's. */
export function userVariablesIn(environment: NodeJS.ProcessEnv): string[] {
  const names = Object.keys(environment);
  return names.filter((name) => userVariables.includes(name) || userPatterns.some((pattern) => pattern.test(name)));
}

/** A Unix socket's path may have 107 bytes; what tests make of theirs below TMPDIR needs this much. */
const socketPath = { limit: 107, own: 45 };

/** A folder that stands for a user's home, for one test file. */
export interface Home {
  dir: string;
  /** What programs are to be started with, and {@link userVariablesIn} their environment without. */
  environment: Record<string, string>;
}

/**
 * Makes a home in which nothing is: one for each test file, so that no two files meet, nor one and the user.
 *
 * @param folder of all homes
 * @param repository the checkout under test
 */
export function makeHome(folder: string, repository: string, environment: NodeJS.ProcessEnv = process.env): Home {
  const dir = makeFolderIn(folder);
  const values = {
    HOME: dir,
    XDG_CONFIG_HOME: path.join(dir, ".config"),
    XDG_DATA_HOME: path.join(dir, ".local/share"),
    XDG_STATE_HOME: path.join(dir, ".local/state"),
    XDG_RUNTIME_DIR: path.join(dir, "run"),
    TMPDIR: path.join(dir, "tmp"),
  };
  for (const place of Object.values(values)) mkdirSync(place, { recursive: true, mode: 0o700 });
  // Another user, such as QEMU's, gets through to what tests put below TMPDIR, as below /tmp.
  chmodSync(dir, 0o711);
  chmodSync(values.TMPDIR, 0o1777);
  // git refuses a checkout of another user's unless that user's settings say otherwise, and those are not read here.
  writeFileSync(path.join(dir, ".gitconfig"), `[safe]\n\tdirectory = ${repository}\n`);
  giveSsh(dir, environment.PATH ?? "");
  // Else root's Python leaves what it compiles beside the machine's modules.
  const python = { PYTHONDONTWRITEBYTECODE: "1" };
  return { dir, environment: { ...values, ...python, PATH: `${programsIn(dir)}:${environment.PATH ?? ""}` } };
}

/** @throws Error when a home is so deep down that there is no room for the names of sockets */
export function requireRoomForSockets({ environment: { TMPDIR = "" } }: Home): void {
  const [length, longest] = [Buffer.byteLength(TMPDIR), socketPath.limit - socketPath.own];
  if (length <= longest) return;
  throw new Error(
    `TMPDIR of the tests is ${TMPDIR}: ${length} bytes, but for sockets in it ${longest} at most may be; set a shorter TMPDIR`,
  );
}

/** The environment of a home, for programs that are to find the machine's own ssh. */
export function withoutOwnSsh(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = programsIn(environment.HOME ?? "");
  return {
    ...environment,
    PATH: environment.PATH?.split(":")
      .filter((folder) => folder !== own)
      .join(":"),
  };
}

const programsIn = (home: string) => path.join(home, "bin");

export function removeHome({ dir }: Home): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** Named by its process: as long as that lives, it is in use. Another run that ends may remove the empty folder around it. */
function makeFolderIn(folder: string, tries = 3): string {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  try {
    return mkdtempSync(path.join(folder, `${process.pid}-`));
  } catch (error) {
    if (tries === 1 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return makeFolderIn(folder, tries - 1);
  }
}

/** The homes that killed runs left behind: of processes that are no more. */
export function deadHomes(folder: string): string[] {
  const pidOf = (name: string) => Number(/^(\d+)-/.exec(name)?.[1]);
  return namesIn(folder)
    .filter((name) => pidOf(name) > 0 && !isAlive(pidOf(name)))
    .map((name) => path.join(folder, name));
}

/**
 * Programs named ssh and scp that take the home's configuration where they are given none. OpenSSH asks the list of users for its
 * home and not HOME: what it would take from there (settings, host keys, keys) is named in that configuration.
 */
function giveSsh(home: string, searchPath: string): void {
  const bin = programsIn(home);
  const ssh = path.join(home, ".ssh");
  mkdirSync(ssh, { mode: 0o700 });
  mkdirSync(bin);
  const config = path.join(ssh, "config");
  const lines = ["Host *", `  UserKnownHostsFile ${ssh}/known_hosts`, `  IdentityFile ${ssh}/id_ed25519`, ""];
  writeFileSync(config, lines.join("\n"), { mode: 0o600 });
  for (const name of ["ssh", "scp"]) {
    const real = searchPath
      .split(":")
      .map((folder) => path.join(folder, name))
      .find(isProgram);
    // Of two -F the last one counts: the caller's.
    if (real) writeFileSync(path.join(bin, name), `#!/bin/sh\nexec '${real}' -F '${config}' "$@"\n`, { mode: 0o755 });
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
