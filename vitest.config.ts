import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Also on two cores: while one file waits for an emulated guest to boot, another goes on.
    minWorkers: 1,
    maxWorkers: 2,
    projects: [
      { test: { name: "unit", include: ["tests/unit/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          pool: "forks",
          testTimeout: 15 * 60_000,
          // Whichever file comes first has the base image built.
          hookTimeout: 15 * 60_000,
        },
      },
    ],
  },
});
