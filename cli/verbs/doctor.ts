import { Command } from "commander";
import { printable } from "../../src/core/printable.ts";
import type { Finding } from "../../src/operations/doctor/finding.ts";
import type { Colour } from "../print.ts";

const examples = `
Examples:
  project-vm doctor
  project-vm doctor --stack storage
  project-vm doctor --fix
  project-vm doctor --json | jq -r '.[] | select(.level != "ok") | .remedy'

It ends with 1 when something would fail. --fix starts a stopped network or pool, has both start with their host, marks an
image again whose digest is right though it was written to, ends plugin processes that were left behind, releases the lock of
an update that was killed, puts the newest whole copy in the place of a state that a full disk left cut off, takes other
users' rights to disk files away, and gives a VM the network filter that it lacks. It stops no VM, and changes nothing in one.`;

/** `project-vm doctor`: whether a stack's host and this machine are in order. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .description("examine the stack's host and this machine: each line ok, warning or failure, with its remedy")
    .option("--fix", "mend what can be mended without risk")
    .option("--json", "as JSON: a list of {check, level, says, remedy, fix}")
    .addHelpText("after", examples)
    .action(async (options: { fix?: true; json?: true }, command: Command) => {
      const { examine } = await import("../../src/operations/doctor/examine.ts");
      const { isWell } = await import("../../src/operations/doctor/finding.ts");
      const { log } = await import("../terminal-progress.ts");
      const { inColour, printJson } = await import("../print.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const findings = await examine(stack, process.cwd(), options.fix ?? false, log);
      if (options.json) printJson(findings);
      else for (const finding of findings) console.log(describeFinding(finding, inColour));
      if (!isWell(findings)) process.exitCode = 1;
    });
}

const colours = { ok: "green", warning: "yellow", failure: "red" } as const;

/** A finding in a line, and its remedy below it. */
export function describeFinding(
  { check, level, says, remedy, fix }: Finding,
  inColour: (text: string, colour: Colour) => string,
): string {
  const result = inColour((fix === "fixed" ? "fixed" : level).padEnd("warning".length), colours[level]);
  const line = `${result}  ${printable(`${check}: ${says}`)}`;
  if (remedy === null || fix === "fixed") return line;
  return `${line}\n         ${fix === "possible" ? "--fix, or: " : ""}${printable(remedy)}`;
}
