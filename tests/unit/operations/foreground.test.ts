import { expect, test } from "vitest";
import { runCaptured } from "../../../src/operations/foreground.ts";

test("what a program writes is kept, with its exit code", async () => {
  const ran = await runCaptured(["sh", "-c", "echo out; echo err >&2; exit 7"]);
  expect(ran).toEqual({ exitCode: 7, stdout: "out\n", stderr: "err\n" });
});

test.each(["", " >&2"])(
  "one that writes without end is ended%s: a guest could have no room left for its words",
  async (where) => {
    await expect(runCaptured(["sh", "-c", `exec yes${where}`])).rejects.toThrow(
      "sh was ended.\n  - sh: must write at most 8 MiB where `--json` is to keep it\n    leave `--json` out",
    );
  },
);
