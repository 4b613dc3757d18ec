import { UserError } from "../core/errors.ts";

/** What one command of a session gave. `output` and `error` are without the line breaks around them. */
export interface BatchAnswer {
  command: string[];
  ok: boolean;
  output: string;
  error: string;
}

/**
 * Asks a session more; the answers come in the order of the batch, and a failed command does not stop the rest. May
 * be called again at once.
 */
export type Ask = (batch: string[][]) => Promise<BatchAnswer[]>;

/** What virsh, or libvirt by it, says of what was removed, or stopped, since it was listed. */
export const isGone = (error: string) =>
  /failed to get (domain|network|pool|vol|nwfilter)|(Domain|Network|Network filter|Storage pool|Storage volume) not found|is not active/.test(
    error,
  );

/** What it says of a volume whose file was removed, with libvirt or past it. */
const noVolume = /failed to get vol '(.*?)'|no storage vol with matching (?:name|path) '(?:.*\/)?(.*?)'/;

/** It says so of a name that it knows not, or of none. Where that is on its list, the volume has another name than is printed there. */
export const isUnknownName = ({ error }: BatchAnswer) => /failed to get vol '|option 'vol'/.test(error);

/**
 * Whether virsh tells nothing of a volume because it is gone; of another file that is, such as its backing file, it may speak too.
 *
 * @param isListed whether libvirt lists it still; it does also where a file was removed past it
 */
export function isVolumeGone(answer: BatchAnswer, name: string, isListed = false): boolean {
  const [, ...named] = noVolume.exec(answer.error) ?? [];
  return named.includes(name) && !answer.error.includes("is not active") && !(isListed && isUnknownName(answer));
}

/**
 * The answers about what is there. What was removed since it was listed is not; what cannot be asked is not known to be gone, and
 * no plan may take it for that.
 */
export function whatIsThere(answers: BatchAnswer[]): BatchAnswer[] {
  const failed = answers.find(({ ok, error }) => !ok && !isGone(error));
  if (failed) throw unanswered(failed);
  return answers.filter(({ ok }) => ok);
}

/** @example throw unanswered(answer) */
export function unanswered({ command, error }: BatchAnswer): UserError {
  const rule = `must be answered by the host's libvirt (${error})`;
  const remedy = "look at libvirt there, then give the same command again";
  return new UserError("Nothing was changed: what there is on the host is not known.", [
    { path: `virsh ${command.join(" ")}`, rule, remedy },
  ]);
}

/** What virsh 9 to 11 print of a connection that is lost, and of the one that they make for the next command. */
const lostConnection =
  /Disconnected from|onnect(ed)? to the hypervisor|End of file|Cannot (recv|write) data|keepalive timeout|socket is closed|hangup event/;

/**
 * Asks, and takes nothing from a virsh that lost its connection meanwhile: of a domain that it could not look up it says the same as
 * of one that is gone. Where it tells of the loss is chance, so none of what was asked with it is known.
 */
export function connected(ask: Ask): Ask {
  return async (batch) => {
    const answers = await ask(batch);
    const lost = answers.find(({ ok, error }) => !ok && lostConnection.test(error));
    if (lost) throw unanswered(lost);
    return answers;
  };
}

/** virsh lists pools, then looks at each, and gives no list at all where one of them went in between. */
const wasCutShort = ({ command: [verb], ok, error }: BatchAnswer) =>
  !ok && verb === "pool-list" && error.startsWith("Could not retrieve pool information");

/** How often such a list is asked for again: pools come and go by the dozen only while several VMs do. */
const mostTries = 5;

/** Asks again for the lists that were cut short by what another process, or another step of this one, does at the same time. */
export function withWholeLists(ask: Ask): Ask {
  return async (batch) => {
    const answers = await ask(batch);
    for (let tries = 0; tries < mostTries && answers.some(wasCutShort); tries++) {
      const again = await ask(answers.filter(wasCutShort).map(({ command }) => command));
      for (const [i, answer] of answers.entries()) {
        if (wasCutShort(answer)) answers[i] = again.shift() ?? answer;
      }
    }
    return answers;
  };
}
