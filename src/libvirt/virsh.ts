import { randomBytes } from "node:crypto";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { printableLine } from "../core/printable.ts";
import { realPath } from "../core/real-path.ts";
import { uriParameters } from "../core/uri-parameters.ts";
import { logInAgain } from "./log-in.ts";
import { type Ask, type BatchAnswer, withWholeLists } from "./virsh-answers.ts";
import { reasonIn, VirshError } from "./virsh-error.ts";
import { lineForVirsh } from "./virsh-line.ts";
import { VirshProcess } from "./virsh-process.ts";

/** virsh bound to one libvirt. */
export interface Virsh {
  /** libvirt's URI. */
  readonly uri: string;
  /**
   * Runs one command and gives its output.
   *
   * @param args the verb, the name of what it is about, then the options: so the name stays one, whatever it begins with
   * @throws {VirshError} when it fails, cannot connect or takes too long
   * @example await virsh.run("dominfo", "project-myapp")
   */
  run(...args: string[]): Promise<string>;
  /** The same for a command that holds a secret: it is not in the process's arguments, and not in an error. */
  runPrivately(...args: string[]): Promise<string>;
}

/** A virsh that is asked much in one go as well, where each process would cost a host elsewhere a log-in. */
export type BatchVirsh = Virsh & { readonly ask: Ask };

/** Linux takes no single argument of 128 KiB or more. */
const longestScript = 120_000;

/** virsh for one libvirt, a process a command. Long transfers (`vol-upload`) need a longer limit, in seconds. */
export function virshFor(uri: string, timeoutSeconds = 60): BatchVirsh {
  return {
    uri,
    ask: (batch) => virshSession(uri, batch, timeoutSeconds),
    run: async (...args) => {
      const [answer] = await virshSession(uri, [args], timeoutSeconds);
      if (!answer?.ok) throw new VirshError(uri, args, undefined, answer?.error ?? "no answer", true);
      return answer.output;
    },
    runPrivately: async (...args) => {
      const session = new InputSession(() => new VirshProcess(uri, [], timeoutSeconds, timeoutSeconds));
      try {
        // Whatever goes wrong, an error shows the verb alone.
        const shown = args.slice(0, 1);
        const [answer] = await session.ask([args], [shown]);
        if (!answer?.ok) throw new VirshError(uri, shown, undefined, answer?.error ?? "no answer", true);
        return answer.output;
      } finally {
        session.end();
      }
    },
  };
}

/**
 * Runs many commands in one virsh process, over one connection, with the answers apart.
 *
 * A failed command does not stop the rest: look at `ok`. No password is ever asked for.
 *
 * @param timeoutSeconds for the whole batch
 * @throws {VirshError} when there is no connection within {@link connectSeconds}, or the time is over
 * @example const [list, info] = await virshSession(uri, [["list", "--all", "--name"], ["nodeinfo"]]);
 */
export async function virshSession(uri: string, batch: string[][], timeoutSeconds = 60): Promise<BatchAnswer[]> {
  // A host elsewhere would be logged in to for nothing.
  if (batch.length === 0) return [];
  return withVirshSession(uri, (ask) => ask(batch), timeoutSeconds);
}

/**
 * The same, with later commands that depend on the answers to earlier ones. A host elsewhere is asked over one
 * connection: each costs it a log-in. On this machine, where a connection costs nothing, each batch has a process of
 * its own: virsh is three times as fast when it need not read its commands from its input.
 *
 * @param timeoutSeconds for all of it
 */
export async function withVirshSession<T>(uri: string, use: (ask: Ask) => Promise<T>, timeoutSeconds = 60): Promise<T> {
  const end = performance.now() + timeoutSeconds * 1000;
  const open = (args: string[]) => new VirshProcess(uri, args, timeoutSeconds, (end - performance.now()) / 1000);
  if (isLocal(uri)) return use(withWholeLists((batch) => askByScripts(open, batch)));
  const session = new InputSession(() => open([]));
  let before: Promise<unknown> = Promise.resolve();
  const ask: Ask = (batch) => {
    const answers = before.then(() => session.ask(batch));
    before = answers.catch(() => {});
    return answers;
  };
  try {
    return await use(withWholeLists(ask));
  } finally {
    session.end();
  }
}

/** One virsh that reads its commands from its input, over a log-in that is made again where it was turned away. */
class InputSession {
  private virsh: VirshProcess;

  private readonly open: () => VirshProcess;

  constructor(open: () => VirshProcess) {
    this.open = open;
    this.virsh = open();
  }

  /** @param shown what an error shows of the commands */
  async ask(batch: string[][], shown = batch): Promise<BatchAnswer[]> {
    return logInAgain(
      (attempt) => {
        if (attempt > 1) {
          this.virsh.end();
          this.virsh = this.open();
        }
        return askByInput(this.virsh, batch, shown);
      },
      (error) => (error instanceof VirshError ? error.reason : undefined),
    );
  }

  end(): void {
    this.virsh.end();
  }
}

/** Whether a URI leads to a libvirt on this very machine. */
export function isLocal(uri: string): boolean {
  return /^\w+:\/\/\//.test(uri) || /^\w+\+unix:/.test(uri);
}

/**
 * Whether two URIs may lead to the same libvirt. Those to one machine may, whatever user, transport or key they go by; but on this very
 * machine another socket is another libvirt. `storage` may be `storage.lan`; no name is looked up.
 */
export function mayBeSameLibvirt(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  if (!mayBeSameName(machineOf(a), machineOf(b))) return false;
  return !isLocal(one) || !isLocal(other) || socketOf(a) === socketOf(b);
}

const machineOf = ({ hostname }: URL) =>
  hostname
    .toLowerCase()
    .replace(/\.$/, "")
    .replace(/^(localhost|127\.0\.0\.1|\[::1\])$/, "");

/** Whether two names of machines are one, or one is the other with its domain. */
const mayBeSameName = (one: string, other: string) =>
  one === other || (one !== "" && other.startsWith(`${one}.`)) || (other !== "" && one.startsWith(`${other}.`));

/** Where its folder really is: links lead to it, and one libvirt may answer at the sockets of the old daemon and of the driver's own. */
const socketOf = (uri: URL) => {
  const socket = realPath(path.resolve(uriParameters(uri).get("socket") ?? "/run/libvirt/libvirt-sock"));
  return socket.replace(/^\/var\/run\//, "/run/").replace(/\/virtqemud-sock$/, "/libvirt-sock");
};

/** A command of a batch, with the marks that its answer stands between. */
interface Marked {
  command: string[];
  begin: string;
  end: string;
}

function markAll(batch: string[][]): Marked[] {
  const mark = randomBytes(6).toString("hex");
  return batch.map((command, i) => ({ command, begin: `b${mark}-${i}-`, end: `e${mark}-${i}-` }));
}

/** Marks are typed in another spelling than they are printed in: an interactive virsh echoes what it reads. */
const echo = (mark: string, ...options: string[]) =>
  ["echo", ...options, `'${mark.slice(0, 4)}'${mark.slice(4)}`].join(" ");

/**
 * @throws UserError for a word that would not stay one, before anything is sent; the word itself may be secret
 */
function typed(command: string[]): string {
  const [verb = ""] = command;
  for (const word of command) {
    const found = /\p{Cc}/u.exec(word)?.[0];
    if (found === undefined) continue;
    throw new UserError("Nothing was asked of libvirt.", [
      {
        path: `virsh ${printableLine(verb)}`,
        rule: `must have words without line breaks and other control characters, but one holds ${JSON.stringify(found)}`,
        remedy: "name what it is about without them",
      },
    ]);
  }
  return lineForVirsh(command);
}

async function askByInput(virsh: VirshProcess, batch: string[][], shown: string[][]): Promise<BatchAnswer[]> {
  const all = markAll(batch);
  // End marks stand on a line of their own: virsh drops a whole line that it cannot parse, and the wait would never
  // end.
  const lines = all.flatMap(({ command, begin, end }) => [
    `${echo(begin)}; ${typed(command)}`,
    `${echo(end)}; ${echo(end, "--err")}`,
  ]);
  virsh.write(lines.map((line) => `${line}\n`).join(""), shown);
  return readAnswers(virsh, all, withoutPrompt);
}

async function askByScripts(open: (args: string[]) => VirshProcess, batch: string[][]): Promise<BatchAnswer[]> {
  const answers: BatchAnswer[] = [];
  const all = markAll(batch).map((marked) => ({
    ...marked,
    script: [echo(marked.begin), typed(marked.command), echo(marked.end), echo(marked.end, "--err")].join("; "),
  }));
  while (all.length > 0) {
    let length = 0;
    const fits = all.findIndex(({ script }) => {
      length += script.length + 2;
      return length > longestScript;
    });
    const part = all.splice(0, fits < 0 ? all.length : Math.max(1, fits));
    // Its standard output comes when virsh likes, its standard error at once: this tells that it has a connection.
    const hello = echo(part[0]?.begin ?? "", "--err");
    const virsh = open([[hello, ...part.map(({ script }) => script)].join("; ")]);
    virsh.write(
      "",
      part.map(({ command }) => command),
    );
    try {
      answers.push(...(await readAnswers(virsh, part, (output) => output)));
    } finally {
      virsh.end();
    }
  }
  return answers;
}

async function readAnswers(
  virsh: VirshProcess,
  all: Marked[],
  clean: (output: string) => string,
): Promise<BatchAnswer[]> {
  const answers: BatchAnswer[] = [];
  for (const { command, begin, end } of all) {
    const output = await virsh.until("stdout", end);
    const errors = (await virsh.until("stderr", end)).replace(`error: ${begin}\n`, "").replace(/error: $/, "");
    const from = output.indexOf(begin);
    answers.push({
      command,
      ok: !/^error: /m.test(errors),
      output: from < 0 ? "" : withoutBlankEnds(clean(output.slice(from + begin.length))),
      error: reasonIn(errors),
    });
  }
  return answers;
}

/** Without the blank lines before and what is blank behind. A guest's answer may be megabytes of blanks: no regular expression. */
function withoutBlankEnds(output: string): string {
  const lines = output.trimEnd();
  const first = lines.length - lines.trimStart().length;
  return lines.slice(lines.lastIndexOf("\n", first) + 1);
}

/** An interactive virsh prints its prompt at the end, with the echo of the end mark's command. */
function withoutPrompt(output: string): string {
  const prompt = output.lastIndexOf("virsh # ");
  return prompt < 0 ? output : output.slice(0, prompt);
}
