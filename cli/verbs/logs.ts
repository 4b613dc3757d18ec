import { Command } from "commander";
import { PrintablePieces, printableJson } from "../../src/core/printable.ts";
import { wholeNumber } from "../whole-number.ts";

const examples = `
Examples:
  project-vm logs myapp --lines 50
  project-vm logs myapp --follow      # a boot, as it goes on
  project-vm logs myapp --cloud-init  # what the first boot's steps printed`;

interface LogsOptions {
  follow?: true;
  lines?: number;
  cloudInit?: true;
  json?: true;
}

/** `project-vm logs`: what a guest printed. */
export function logsCommand(): Command {
  return new Command("logs")
    .description("show what a VM printed on its console, also while it is off")
    .argument("<project>")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .option("-n, --lines <number>", "begin with so many lines of the end", wholeNumber)
    .option("--cloud-init", "what cloud-init printed, from the guest itself")
    .option("--json", "as JSON: {lines}, as they are; with --follow one such document a line, as they come")
    .addHelpText("after", examples)
    .action(async (project: string, { cloudInit, json, ...options }: LogsOptions, command: Command) => {
      const { cloudInitLogOf, consoleLogOf, printLog } = await import("../../src/operations/logs.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const open = cloudInit ? cloudInitLogOf : consoleLogOf;
      const log = await open(stack, project, process.cwd());
      if (!json) {
        const shown = new PrintablePieces();
        await printLog(log, options, (text) => process.stdout.write(shown.next(text)));
        process.stdout.write(shown.end());
        return;
      }
      const documents = options.follow ? documentsOfLines() : oneDocument();
      await printLog(log, options, documents.print);
      documents.end();
    });
}

type Print = (text: string) => void;

const write: Print = (text) => void process.stdout.write(text);

/** Prints pieces of a log as documents of whole lines: the rest of a line may come with the next piece. */
export function documentsOfLines(out: Print = write): { print: Print; end: () => void } {
  const print = inLines((lines) => {
    if (lines.length > 0) out(`${printableJson({ lines })}\n`);
  });
  return { print, end: () => undefined };
}

/** Prints pieces of a log as one document, as they come: a log need not fit into memory. */
export function oneDocument(out: Print = write): { print: Print; end: () => void } {
  let isFirst = true;
  out('{"lines":[');
  const lines = inLines((complete) => {
    if (complete.length > 0) out(`${isFirst ? "" : ","}${complete.map((line) => printableJson(line)).join(",")}`);
    isFirst &&= complete.length === 0;
  });
  const end = () => {
    lines.end();
    out("]}\n");
  };
  return { print: lines, end };
}

/** Characters of a line that is held in memory until it ends; a longer one comes as several. */
const longestLine = 2 ** 20;

/** Cuts pieces of a text into whole lines; `end` gives the one that has not ended. */
function inLines(take: (lines: string[]) => void) {
  let begun = "";
  const print = (text: string) => {
    const lines = `${begun}${text}`.split("\n");
    if ((lines.at(-1)?.length ?? 0) > longestLine) lines.push("");
    begun = lines.pop() ?? "";
    take(lines);
  };
  return Object.assign(print, { end: () => take(begun ? [begun] : []) });
}
