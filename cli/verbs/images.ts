import { Command } from "commander";
import type { PrunePlan } from "../../src/images/prune.ts";
import type { ImageRow } from "../../src/images/report.ts";
import { openStack } from "../open-stack.ts";
import { printJson, printList } from "../print.ts";

const examples = `
Examples:
  project-vm images                  # which base images the host has, and which VMs stand on them
  project-vm images prune            # says what would go, and asks
  project-vm images verify --stack storage

docs/images.md has more.`;

/** `project-vm images`: the base images of a host. */
export function imagesCommand(): Command {
  return new Command("images")
    .description("list the base images on the host, and what stands on them")
    .option("--json", "as JSON, with paths on the host; sizes in bytes")
    .addHelpText("after", examples)
    .addCommand(prune())
    .addCommand(verify())
    .action(async (options: { json?: true }, command: Command) => {
      const { host } = await openStack(command);
      const { lookAtImages } = await import("../../src/images/look-at-images.ts");
      const { describeUsers, imageRows } = await import("../../src/images/report.ts");
      const { imageUsage } = await import("../../src/images/usage.ts");
      const rows = imageRows(imageUsage(await lookAtImages(host), host.storageDir));
      printList(rows, { ...columns, "ON IT": describeUsers }, options);
    });
}

const columns = {
  NAME: ({ name }: ImageRow) => name,
  SIZE: ({ allocation }: ImageRow) => allocation ?? "",
  STATE: ({ state }: ImageRow) => state,
};

/** Commander gives an option that `images` has too to `images`, wherever it stands. */
const wantsJson = (command: Command) => command.optsWithGlobals<{ json?: true }>().json === true;

function prune(): Command {
  return new Command("prune")
    .description("remove the base images that nothing stands on and that no new VM of this stack gets")
    .option("--yes", "do not ask")
    .option("--json", "as JSON: {done, removed, kept}: names, and {name, reason}")
    .addHelpText("after", "\nExample:\n  project-vm images prune --stack storage --yes")
    .action(async (options: { yes?: true }, command: Command) => {
      const { stack, host, log } = await openStack(command);
      const { currentImages, pruneImages } = await import("../../src/images/prune.ts");
      const { describePrune, pruneAnswer } = await import("../../src/images/report.ts");
      const { askToGoOn } = await import("../ask.ts");
      const question = { question: "Go on?", refusal: "Nothing was removed." };
      const confirm = (plan: PrunePlan) => askToGoOn({ facts: describePrune(plan), ...question }, options.yes ?? false);
      const pruned = await pruneImages(host, currentImages(stack.config), confirm, log);
      if (wantsJson(command)) printJson({ done: pruned !== undefined, ...pruneAnswer(pruned) });
      if (!pruned) process.exitCode = 1;
    });
}

function verify(): Command {
  return new Command("verify")
    .description("read all base images whole, on the host, and compare them with what was uploaded")
    .option("--json", "as JSON: a list of {name, path, whole, found, wanted, projects}")
    .addHelpText("after", "\nExample:\n  project-vm images verify --json | jq -r '.[] | select(.whole | not) | .path'")
    .action(async (_options, command: Command) => {
      const { host, log } = await openStack(command);
      const { verdictRows } = await import("../../src/images/report.ts");
      const { requireWhole, verifyImages } = await import("../../src/images/verify.ts");
      const verdicts = await verifyImages(host, log);
      if (wantsJson(command)) printJson(verdictRows(verdicts));
      requireWhole(verdicts, host);
    });
}
