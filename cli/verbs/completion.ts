import { Argument, Command } from "commander";
import { completeVerb, shells } from "../completions.ts";
import { printJson } from "../print.ts";

const examples = `
Examples:
  source <(project-vm completion bash)            # in ~/.bashrc
  source <(project-vm completion zsh)             # in ~/.zshrc, after compinit
  project-vm completion fish | source             # in ~/.config/fish/config.fish`;

/** `project-vm completion`: the script by which a shell completes verbs, options, stacks and projects. */
export function completionCommand(): Command {
  return new Command("completion")
    .description("print the script by which a shell completes verbs, options, stacks and names of projects")
    .addArgument(new Argument("<shell>").choices(shells))
    .option("--json", "as JSON: {shell, script}")
    .addHelpText("after", examples)
    .action(async (shell: string, { json }: { json?: true }) => {
      const { completionScript } = await import("../completions.ts");
      const script = completionScript(shell) ?? "";
      if (json) printJson({ shell, script });
      else process.stdout.write(script);
    });
}

/** What these scripts call: prints what the last word may become, a line each. It asks no host. */
export function completeCommand(): Command {
  return new Command(completeVerb)
    .description("what the last of the words may become, for shells")
    .argument("[words...]", "after `--`")
    .addHelpText("after", `\nExample:\n  project-vm ${completeVerb} -- ssh my`)
    .action(async (words: string[], _options, command: Command) => {
      const { completionsFor, stackIn } = await import("../completions.ts");
      const { checkoutOf } = await import("../../src/checkout/checkout-folder.ts");
      const { stacksIn } = await import("../../src/checkout/stack-names.ts");
      const { readOutline } = await import("../../src/checkout/outline.ts");
      const checkout = checkoutOf(process.cwd());
      const stack = stackIn(words) ?? command.optsWithGlobals<{ stack: string }>().stack;
      // Outside a checkout, and with a config that has mistakes, there is just less to complete.
      const projects = await readOutline(stack, process.cwd()).then(
        (outline) => Object.keys(outline.projects),
        () => [],
      );
      // A shell puts what it is given on the command line as it is: no file is a stack there by a name that would act.
      const stacks = (checkout ? stacksIn(checkout) : []).filter((name) => /^\w[\w.-]*$/.test(name));
      const names = { stacks, projects };
      const program = command.parent;
      for (const one of program ? completionsFor(program, words, names) : []) console.log(one);
    });
}
