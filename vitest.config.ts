import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["tests/unit/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          // Two cores and emulated guests: one file after another.
          pool: "forks",
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 15 * 60_000,
          // Whichever file comes first has the base image built.
          hookTimeout: 15 * 60_000,
        },
      },
    ],
  },
});
