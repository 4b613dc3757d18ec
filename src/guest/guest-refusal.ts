import { type Issue, UserError } from "../core/errors.ts";
import { indented, shortened } from "../core/printable.ts";

/** How much of what a guest said is shown. */
const shownCharacters = 120;

const remedyFor = (guest: string) => {
  const name = guest.replace(/^project-/, "");
  return `look at it: project-vm console ${name}; its agent or another program in it may have been replaced: a new root has the right ones (project-vm rebuild ${name})`;
};

/** An answer of a guest that is not what it should be: which guest, which field, the rule, and the beginning of what it said. */
export class GuestRefusal extends UserError {
  readonly guest: string;
  readonly field: string;

  constructor(guest: string, field: string, rule: string, value?: unknown) {
    super(`What the guest ${guest} answers is not used.`, [
      { path: `${guest}: ${field}`, rule, ...shownValue(value), remedy: remedyFor(guest) },
    ]);
    this.guest = guest;
    this.field = field;
  }
}

/** A guest that has no SSH host keys, as every new one for a part of its first boot. */
export class NoHostKeysYet extends UserError {
  constructor(guest: string) {
    super(`${guest} is still booting, and has no SSH host keys yet.`);
  }
}

/** An agent that does not answer, does not end, or refuses: whatever it is, it is the guest's, and no bug. */
export class AgentError extends UserError {
  /** What is wrong, in one line of ours. */
  readonly reason: string;
  /** What libvirt says of it, and the agent with it. */
  readonly said: string | undefined;

  constructor(guest: string, reason: string, said?: string) {
    super(`The guest agent of ${guest}: ${reason}${said === undefined ? "" : `:\n${indented(said)}`}`);
    this.reason = reason;
    this.said = said;
  }
}

/** A program in the guest that failed: like its agent's errors the guest's, and no bug. */
export class ProgramError extends UserError {
  constructor(guest: string, program: string, exitCode: number, said: string) {
    super(`${guest}: ${program} failed (exit code ${exitCode})${said === "" ? "" : `:\n${indented(said)}`}`);
  }
}

/** What an agent's error says in full, or libvirt's about it. */
export const agentSays = ({ reason, said = reason }: { reason: string; said?: string | undefined }) => said;

/** Of a list or a map only what it is: it can be as big and as deep as its guest likes. */
function shownValue(value: unknown): Pick<Issue, "value" | "said"> {
  if (value === undefined) return {};
  if (typeof value === "string") return { said: shortened(value, shownCharacters) };
  if (Array.isArray(value)) return { value: "a list" };
  return { value: typeof value === "object" && value !== null ? "a map" : value };
}
