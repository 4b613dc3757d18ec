import { counted } from "./counted.ts";
import { indented, printable, printableJson, printableLine } from "./printable.ts";

/**
 * One mistake of the user's, as it is shown: where, what is asked, what was found, what to do.
 *
 * The path is built by code and names the file: `Pulumi.local.yaml: projects.webapp.memory`.
 * Leave `value` out where it may be a secret: whatever stands there is printed. (A private key is left out in any case.)
 * `said` is a stranger's: what a guest says, or a program about it. It stands on lines of its own, each with a mark, so that no
 * terminal breaks a line such that its rest looks like one of ours. All else is one line each, whatever names are in it.
 */
export interface Issue {
  path: string;
  rule: string;
  value?: unknown;
  said?: string;
  remedy: string;
}

/**
 * What is a user's matter, or a host's or a guest's: a mistake, or several, or what failed there. A program shows it without a stack
 * trace (`runProgram`); every other error that gets there is a bug.
 *
 * The message is the title and, when there are issues, two lines for each: the fact and the remedy. Whatever a value or a reason
 * in it holds, it does nothing to a terminal.
 *
 * @example
 * throw new UserError("The host cannot be used.", [
 *   { path: "Pulumi.local.yaml: host.uri", rule: "must answer", value: "qemu:///system", remedy: "start libvirtd" },
 * ]);
 */
export class UserError extends Error {
  override readonly name: string = "UserError";
  readonly issues: Issue[];

  constructor(title: string, issues: Issue[] = []) {
    const safe = issues.map(withoutPrivateKey).map(onOneLineEach);
    super(printable([title, ...safe.map(formatIssue)].join("\n")));
    this.issues = safe;
  }
}

/** A usage error. Its text is empty where it has been reported already. */
export class UsageError extends UserError {}

/**
 * A value that breaks a rule, thrown by whoever reads the value; whoever knows its place makes an {@link Issue} of it.
 * With `secret` the value is never shown.
 */
export class InvalidValue extends Error {
  override readonly name = "InvalidValue";

  readonly rule: string;
  readonly remedy: string;
  readonly secret: boolean;

  constructor(rule: string, remedy: string, secret = false) {
    super(`${rule}: ${remedy}`);
    this.rule = rule;
    this.remedy = remedy;
    this.secret = secret;
  }
}

/** All mistakes of one stack file as one error. Throw it before any resource is made: its title says that nothing was. */
export function configMistakes(file: string, issues: Issue[]): UserError {
  const count = counted(issues.length, "mistake");
  return new UserError(`${file} has ${count}. Nothing was created or changed.`, issues);
}

/** `["projects", "webapp", "memory"]` as `Pulumi.local.yaml: projects.webapp.memory`. */
export function formatPath(file: string, path: readonly PropertyKey[]): string {
  const steps = path.map((step) => {
    if (typeof step === "number") return `[${step}]`;
    const key = String(step);
    if (looksLikePrivateKey(key)) return "[private key, not shown]";
    return /^[\w-]+$/.test(key) ? `.${key}` : `[${formatValue(key)}]`;
  });
  return `${file}: ${steps.join("").replace(/^\./, "")}`;
}

/** An issue without its remedy, in a line. @example "Pulumi.local.yaml: projects.webapp.cpus: must be at least 1, but is 0" */
export function factOf({ path, rule, value }: Issue): string {
  const found = value === undefined ? "" : `, but is ${formatValue(value)}`;
  return printableLine(`${path}: ${rule}${found}`);
}

/** Each part on a line: a name that has a break in it makes no line of ours. */
const onOneLineEach = ({ path, rule, remedy, ...rest }: Issue): Issue => ({
  ...rest,
  path: printableLine(path),
  rule: printableLine(rule),
  remedy: printableLine(remedy),
});

const formatIssue = (issue: Issue) => `  - ${factOf(issue)}${formatSaid(issue)}\n    ${issue.remedy}`;

const formatSaid = ({ said }: Issue) =>
  said === undefined ? "" : `; it says:\n${indented(said.trim() || "(nothing)")}`;

const longestValueShown = 120;

function formatValue(value: unknown): string {
  // JSON has neither NaN nor infinity: it would print both as null.
  const text = typeof value === "number" ? String(value) : printableJson(value);
  return text.length > longestValueShown ? `${text.slice(0, longestValueShown)}…` : text;
}

function withoutPrivateKey(issue: Issue): Issue {
  if (!looksLikePrivateKey(JSON.stringify(issue.value) ?? "")) return issue;
  const { value: _, ...rest } = issue;
  return { ...rest, rule: `${issue.rule}, but is a private key (not shown)` };
}

/** Whether a text holds what private keys begin with: PEM and PuTTY headings, or the base64 of `openssh-key-v1`. */
export function looksLikePrivateKey(text: string): boolean {
  return /PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdj|AGE-SECRET-KEY/i.test(text);
}
