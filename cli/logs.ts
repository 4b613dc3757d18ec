import { Command } from "commander";
import { wholeNumber } from "./whole-number.ts";

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
    .option("--json", "as JSON: {lines}; with --follow one such document a line, as they come")
    .addHelpText("after", examples)
    .action(async (project: string, { cloudInit, json, ...options }: LogsOptions, command: Command) => {
      const { cloudInitLogOf, consoleLogOf, printLog } = await import("../daily/logs.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const open = cloudInit ? cloudInitLogOf : consoleLogOf;
      const print = json ? asDocuments(options.follow ?? false) : (text: string) => process.stdout.write(text);
      await printLog(await open(stack, project, process.cwd()), options, print);
    });
}

/** Prints pieces of a log as documents of whole lines. @param hasMore whether the rest of a line may come with the next piece */
export function asDocuments(hasMore: boolean): (text: string) => void {
  let begun = "";
  return (text) => {
    const lines = `${begun}${text}`.split("\n");
    begun = lines.pop() ?? "";
    if (!hasMore && begun) lines.push(begun);
    if (!hasMore || lines.length > 0) console.log(JSON.stringify({ lines }));
  };
}
