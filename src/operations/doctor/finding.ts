import { UserError } from "../../core/errors.ts";

/** What an examination found, as `project-vm doctor --json` prints it. Keys may be added; none is renamed or taken away. */
export interface Finding {
  /** What was looked at. */
  check: string;
  level: "ok" | "warning" | "failure";
  says: string;
  /** What to do about it; null where there is nothing to do. */
  remedy: string | null;
  /** Whether `--fix` does it; `fixed`: it has. */
  fix: "none" | "possible" | "fixed";
}

/** A finding, with what would mend it without any risk. */
export interface Examined extends Finding {
  mend?: () => Promise<void>;
}

export const ok = (check: string, says: string): Examined => ({ check, level: "ok", says, remedy: null, fix: "none" });

/** Something that works and may not for long, or not as well as it could. */
export function warning(check: string, says: string, remedy: string, mend?: () => Promise<void>): Examined {
  return { check, level: "warning", says, remedy, ...mending(mend) };
}

/** Something that the next update, or a VM, fails by. */
export function failure(check: string, says: string, remedy: string, mend?: () => Promise<void>): Examined {
  return { check, level: "failure", says, remedy, ...mending(mend) };
}

/** Libvirt may answer where programs cannot be run, or not by this user: that is no illness of the host. */
export async function looked<T>(check: string, look: () => Promise<T>): Promise<T | Examined> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [issue] = error.issues;
    const says = `could not be looked at: ${issue ? `${issue.path}: ${issue.rule}` : error.message}`;
    return warning(check, says, issue?.remedy ?? "programs are run there by ssh: see docs/data.md");
  }
}

/**
 * Mends what was found. What cannot be mended says why, and what is to be done by hand; the rest is mended all the same.
 *
 * @returns the finding as it then is
 */
export async function mended(finding: Finding, mend: () => Promise<void>): Promise<Finding> {
  try {
    await mend();
    return { ...finding, fix: "fixed" };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...finding, says: `${finding.says}; this could not be mended: ${error.message}`, fix: "none" };
  }
}

function mending(mend: (() => Promise<void>) | undefined): Pick<Examined, "fix" | "mend"> {
  return mend ? { fix: "possible", mend } : { fix: "none" };
}

/** Whether nothing would fail. */
export const isWell = (findings: Finding[]) =>
  findings.every(({ level, fix }) => level !== "failure" || fix === "fixed");
