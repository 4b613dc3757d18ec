import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkoutsFolder } from "../setup/places.ts";

/** Fixed, for the bench looks below its TMPDIR for what a run before has left. */
const temporary = path.join(checkoutsFolder(), "bench");

beforeAll(() => void mkdirSync(temporary, { recursive: true }));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

test("the bench plays all its rounds, and gives a ratio for each step", async () => {
  const args = ["--import", "tsx/esm", path.resolve("bench/main.ts")];
  const env = { BENCH_SIZES: "1", BENCH_BOOT: "no", TMPDIR: temporary };
  const { exitCode, all, stdout } = await execa("node", args, { env, all: true, reject: false, stdin: "ignore" });
  expect(exitCode, all).toBe(0);
  const steps = ["up", "preview", "list", "add-one", "destroy"];
  const ratios = stdout.split("\n").filter((line) => /^RATIO \S+ 1 [\d.]+ virsh [\d.]+ [\d.]+$/.test(line));
  expect(ratios.map((line) => line.split(" ")[1])).toEqual(steps);
  expect(all).toContain("bench: nothing of it is left on this machine");
});
