import { configDefaults, defineConfig } from "vitest/config";
import { sharedEnvironment } from "./tests/setup/places.ts";
import SlowestFirst from "./tests/setup/slowest-first.ts";

const env = sharedEnvironment();
/** For what is awaited: the default of a second is too short for a machine with much to do. */
const expect = { poll: { timeout: 20_000 } };

/** More than what is awaited may take, so that it is told which wait ran out, and with what. */
const unitTimeout = 60_000;

/** A home, temporary files and ssh files of its own for each test file, in a process of its own. */
const own = { env, setupFiles: "tests/setup/own-home.ts", pool: "forks", isolate: true, expect } as const;

/** Real VMs. Whichever file comes first has the base image built. */
const withGuests = { ...own, testTimeout: 15 * 60_000, hookTimeout: 15 * 60_000 };

/** Those that boot guests again and again: where guests are emulated, CI's time is not enough for them. */
const long = "tests/e2e/**/*.long.test.ts";

/** SHUFFLE=<number> has the files run in a random order, each number in another, to find those that need one before them. */
const seed = process.env.SHUFFLE;

export default defineConfig({
  test: {
    // Also on two cores: while one file waits for an emulated guest to boot, another goes on.
    minWorkers: 1,
    maxWorkers: 2,
    globalSetup: ["tests/setup/around-run.ts"],
    sequence: seed ? { shuffle: { files: true }, seed: Number(seed) } : { sequencer: SlowestFirst },
    projects: [
      { test: { ...own, name: "unit", include: ["tests/unit/**/*.test.ts"], testTimeout: unitTimeout } },
      {
        test: {
          ...withGuests,
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          exclude: [...configDefaults.exclude, long],
        },
      },
      { test: { ...withGuests, name: "long", include: [long] } },
    ],
  },
});
