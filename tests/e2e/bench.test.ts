import path from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";

test("the bench plays all its rounds, and gives a ratio for each step", async () => {
  const args = ["--import", "tsx/esm", path.resolve("bench/main.ts")];
  const env = { BENCH_SIZES: "1", BENCH_BOOT: "no" };
  const { exitCode, all, stdout } = await execa("node", args, { env, all: true, reject: false, stdin: "ignore" });
  expect(exitCode, all).toBe(0);
  const steps = ["up", "preview", "list", "add-one", "destroy"];
  const ratios = stdout.split("\n").filter((line) => /^RATIO \S+ 1 [\d.]+ virsh [\d.]+ [\d.]+$/.test(line));
  expect(ratios.map((line) => line.split(" ")[1])).toEqual(steps);
  expect(all).toContain("bench: nothing of it is left on this machine");
});
