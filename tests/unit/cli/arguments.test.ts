import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";
import { cpusArgument, given, memoryArgument, sizeArgument } from "../../../cli/arguments.ts";
import { applyCommand } from "../../../cli/verbs/apply.ts";
import { createCommand } from "../../../cli/verbs/create.ts";
import { destroyCommand } from "../../../cli/verbs/destroy.ts";
import { outputCommand } from "../../../cli/verbs/output.ts";
import { planCommand } from "../../../cli/verbs/plan.ts";
import { rebuildCommand } from "../../../cli/verbs/rebuild.ts";
import { resizeCommand } from "../../../cli/verbs/resize.ts";
import { newRebuild } from "../../../src/engine/project-changes.ts";

test.each([
  [memoryArgument, "16384", "16384 MiB"],
  [memoryArgument, "8G", "8 GiB"],
  [memoryArgument, "1.5 GiB", "1.5 GiB"],
  [sizeArgument, "100G", "100 GiB"],
  [sizeArgument, "1 TiB", "1 TiB"],
  [cpusArgument, "8", 8],
])("%o of %s is written as %s", (read, text, written) => {
  expect(read(text)).toBe(written);
});

test.each([
  [sizeArgument, "100", "It must have a unit: write `100 GiB` if that is what you mean."],
  [memoryArgument, "8 GB", "It must be in MiB, GiB or TiB (steps of 1024): write `8 GiB`."],
  [memoryArgument, "0", "It must be more than zero: write a size such as `8 GiB`."],
  [cpusArgument, "half", "It must be a number: write a whole number without quotes, e.g. `4`."],
  [cpusArgument, "1.5", "It must be a whole number: write a whole number without quotes, e.g. `4`."],
])("%o of %s is misuse", (read, text, message) => {
  expect(() => read(text)).toThrow(new InvalidArgumentError(message));
});

test("only what was given is written", () => {
  expect(given({ memory: undefined, cpus: 2 })).toEqual({ cpus: 2 });
});

test("a rebuild is asked for by a text that is no date to YAML", () => {
  expect(newRebuild(new Date("2026-11-21T17:05:33.123Z"))).toEqual({ rebuild: "on 2026-11-21T17:05:33Z" });
});

describe("each verb", () => {
  const commands = [
    createCommand,
    destroyCommand,
    planCommand,
    applyCommand,
    outputCommand,
    resizeCommand,
    rebuildCommand,
  ].map((make) => make());

  test.each(commands.map((command) => [command.name(), command] as const))(
    "%s has a help with examples",
    (_, command) => {
      expect(command.description()).not.toBe("");
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect(help).toMatch(/^Examples:$/m);
    },
  );
});
