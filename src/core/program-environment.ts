import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { recordsVariable } from "./records.ts";

/**
 * The programs that this product starts, by what their environment must be:
 *
 * - `engine`: `pulumi`, its plugins, the stack's program and its steps; also what `make env` prints
 * - `virsh`: a virsh whose output is read
 * - `script`: a shell or a program on this machine, or the ssh to another host that runs it there
 * - `terminal`: a program that is given the user's terminal: ssh, scp, `virsh console`
 * - `build`: go and npm, and the script that builds the base image
 */
export type ProgramKind = "engine" | "virsh" | "script" | "terminal" | "build";

interface Rules {
  set: Record<string, string>;
  /** Names that do not reach the program; all others do. */
  cleared: RegExp[];
  /** Exceptions to those. */
  kept?: RegExp;
}

/**
 * The locale of programs whose output we read: messages in English, for some are looked for, and names as they are. In plain `C`
 * virsh's tables have `\xff` for each byte beyond ASCII.
 */
export const english = { LC_ALL: "C.UTF-8", LANGUAGE: "" };

/** In place of the user's cache: an interactive virsh would write its history of commands there. */
export const noCache = "/dev/null";

/** In place of the user's file for line editing, by which an interactive virsh would read other words than were written to it. */
const noLineEditing = { INPUTRC: "/dev/null" };

/** Words that are longer than a line of so many columns, an interactive virsh echoes in pieces. */
const ofTerminals = /^(COLUMNS|LINES)$/;

/** No ssh dialog on a desktop. */
const noDialog = { SSH_ASKPASS_REQUIRE: "never" };

/** They choose another libvirt, and have virsh print its log among its answers. */
const ofLibvirt = /^(LIBVIRT|VIRSH)_/;
const loginsOfLibvirt = /^LIBVIRT_AUTH_FILE$/;

/** What `git rev-parse --local-env-vars` names: in a git hook they point at the repository that the hook is of. */
const ofOneRepository =
  /^GIT_(ALTERNATE_OBJECT_DIRECTORIES|CONFIG|CONFIG_PARAMETERS|CONFIG_COUNT|OBJECT_DIRECTORY|DIR|WORK_TREE|IMPLICIT_WORK_TREE|GRAFT_FILE|INDEX_FILE|NO_REPLACE_OBJECTS|REPLACE_REF_BASE|PREFIX|SHALLOW_FILE|COMMON_DIR)$/;

/** What a shell, or ls, df and grep in a script, would do in another way. */
const ofShells =
  /^(BASH_ENV|ENV|CDPATH|SHELLOPTS|BASHOPTS|BASH_FUNC_.*|POSIXLY_CORRECT|GREP_OPTIONS|QUOTING_STYLE|TIME_STYLE|((LS|DF|DU)_)?BLOCK_SIZE|BLOCKSIZE)$/;

/**
 * Of PULUMI_* the engine is given these alone: where the state is and how to get in, and what debugs it. All others change what
 * an update does (PULUMI_OPTION_TARGET, PULUMI_SKIP_CHECKPOINTS, PULUMI_NODEJS_DRY_RUN), and were exported for something else.
 */
const ofEngine =
  /^PULUMI_(HOME|BACKEND_URL|API|ACCESS_TOKEN|CREDENTIALS_PATH|CONSOLE_DOMAIN|STACK|CONFIG_PASSPHRASE|CONFIG_PASSPHRASE_FILE|SKIP_UPDATE_CHECK|DISABLE_AUTOMATIC_PLUGIN_ACQUISITION|PLUGIN_DOWNLOAD_URL_OVERRIDES|PARALLEL|DEBUG_GRPC|DEBUG_COMMANDS)$/;

/** They have Terraform's provider make other domains, or another program stand in for it (its `os.Getenv`, the bridge's loader). */
const ofProvider = /^(TF_REATTACH_PROVIDERS|TF_LIBVIRT_.*|TERRAFORM_LIBVIRT_.*)$/;

/** Who starts plain `pulumi` reads what it prints; the command line sets it for its own. */
const ofRecords = new RegExp(`^${recordsVariable}$`);

/** Settings of npm by which packages, or all of them, are left out; npm reads the names in any case. */
const ofNpm = /^(NODE_ENV|npm_config_(omit|include|only|also|production|dev|optional|dry_run|global|location))$/i;

/** What becomes of what the user has exported, for each kind of program. docs/cli.md says it to users. */
export const programs: Record<ProgramKind, Rules> = {
  engine: {
    set: {},
    cleared: [/^PULUMI_/, ofLibvirt, ofProvider, ofOneRepository, ofRecords, /^TS_NODE_/, /^(no_)?grpc_proxy$/i],
    kept: new RegExp(`${ofEngine.source}|${loginsOfLibvirt.source}`),
  },
  virsh: {
    set: { ...english, ...noDialog, ...noLineEditing, XDG_CACHE_HOME: noCache },
    cleared: [ofLibvirt, ofTerminals],
    kept: loginsOfLibvirt,
  },
  script: { set: { ...english, ...noDialog }, cleared: [ofLibvirt, ofOneRepository, ofShells], kept: loginsOfLibvirt },
  terminal: { set: {}, cleared: [ofLibvirt], kept: loginsOfLibvirt },
  build: {
    // Empty, GOFLAGS would count as none, and Go would read its file.
    set: {
      CGO_ENABLED: "0",
      GO111MODULE: "on",
      GOARCH: process.arch === "x64" ? "amd64" : process.arch,
      GOFLAGS: "-mod=readonly",
      GOOS: "linux",
      GOWORK: "off",
    },
    cleared: [ofOneRepository, ofShells, ofNpm, /^GO(ROOT|TOOLDIR|EXPERIMENT|AMD64|ARM64)$/],
  },
};

/**
 * What is to be changed in an environment before a program of a kind is started in it: names and their new values, `undefined` for
 * those that are to be cleared.
 *
 * @example programChanges("virsh", { VIRSH_DEBUG: "0" }).VIRSH_DEBUG // undefined
 */
export function programChanges(
  kind: ProgramKind,
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string | undefined> {
  const { set, cleared, kept } = programs[kind];
  const isCleared = (name: string) => cleared.some((names) => names.test(name)) && !kept?.test(name);
  const names = Object.keys(environment).filter(isCleared);
  return { ...Object.fromEntries(names.map((name) => [name, undefined])), ...corrected(environment), ...set };
}

/** The environment for a program of a kind. */
export function programEnvironment(
  kind: ProgramKind,
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const values = Object.entries({ ...environment, ...programChanges(kind, environment) });
  return Object.fromEntries(values.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Changes the environment of this process, and so of all that it starts. */
export function changeOwn(changes: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** For all kinds, and for this process: what the user has set stays, but for what no program of ours could work with. */
export function corrected(environment: NodeJS.ProcessEnv = process.env): Record<string, string | undefined> {
  const { TMPDIR, NODE_OPTIONS } = environment;
  return {
    ...(TMPDIR === undefined || isUsable(TMPDIR) ? {} : { TMPDIR: undefined }),
    ...(NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS: withoutDebugger(NODE_OPTIONS) }),
    ...loopbackDirect(environment),
  };
}

/** A Unix socket's path may have 107 bytes, and the longest name of one that a plugin makes there needs 45. */
const longestTmpdir = 62;

/** Whether programs in any folder can put files and sockets there. */
function isUsable(folder: string): boolean {
  if (!path.isAbsolute(folder) || Buffer.byteLength(folder) > longestTmpdir) return false;
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return statSync(folder).isDirectory();
  } catch {
    return false;
  }
}

/** Options of Node that load a file, by a path that may be relative, or wait for a debugger: each step would. */
const debuggers =
  /(^|\s)(--(inspect|debug)[\w-]*(=\S+)?|(-r|--(require|import|(experimental-)?loader))([= ]\s*("(\\.|[^"])*"|\S+))?)(?=\s|$)/g;

function withoutDebugger(options: string): string | undefined {
  return options.replace(debuggers, " ").trim() || undefined;
}

const loopback = ["127.0.0.1", "localhost", "::1"];

/** Node's gRPC, by which a program talks to its engine on this machine, asks the proxy for 127.0.0.1 too. */
function loopbackDirect(environment: NodeJS.ProcessEnv): Record<string, string> {
  const isProxied = ["http_proxy", "https_proxy", "all_proxy"].some(
    (name) => environment[name] || environment[name.toUpperCase()],
  );
  if (!isProxied) return {};
  const given = (environment.no_proxy || environment.NO_PROXY || "").split(",").map((host) => host.trim());
  const direct = [...new Set([...given.filter(Boolean), ...loopback])].join(",");
  return { no_proxy: direct, NO_PROXY: direct };
}
