import { afterEach, expect, test, vi } from "vitest";
import { listCommand } from "../../../../cli/verbs/list.ts";
import { UserError } from "../../../../src/core/errors.ts";

vi.mock("../../../../src/checkout/stack-names.ts", () => ({ stacksIn: () => ["away", "ill"] }));
vi.mock("../../../../src/embedded-host/lost-hosts.ts", async (original) => ({
  ...(await original()),
  lostHosts: () => [],
}));
vi.mock("../../../../src/operations/list.ts", () => ({
  listVms: undefined,
  listStacks: async () => ({
    rows: [],
    failures: [
      { stack: "away", error: new UserError("The host of away does not answer.") },
      { stack: "ill", error: new TypeError("x is undefined") },
    ],
  }),
}));

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

test("of the stacks that cannot be listed, a bug keeps its trace and hides no other's reason", async () => {
  vi.spyOn(console, "log").mockReturnValue();
  const print = vi.spyOn(console, "error").mockReturnValue();
  await listCommand().parseAsync(["--all-stacks"], { from: "user" });
  const [away, ill] = print.mock.calls.map(([text]) => text as string);
  expect(away).toBe("The host of away does not answer.");
  expect(ill).toMatch(/^TypeError: x is undefined\n {4}at (.*\n)+This is a bug in project-vms/);
  expect(process.exitCode).toBe(1);
});
