import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ChangeOptions, runChange } from "../../../cli/change.ts";
import type { OpenStack } from "../../../cli/open-stack.ts";
import type { ProjectOutput } from "../../../src/checkout/outputs.ts";
import { emptyReport, type OperationReport } from "../../../src/engine/events.ts";

const open = { stack: { name: "storage" } } as OpenStack;
const told: OperationReport = {
  ...emptyReport(),
  changes: [{ project: "api", kind: "new", text: "new VM" }],
  resources: 7,
};
const made = { name: "api", ssh: "ssh -F /c/config project-api", secondsToReady: 42 } as ProjectOutput;
const asked = { stack: "storage", changes: ["api: new VM"], resources: 7 };

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** What a verb that makes a VM prints, and its exit code; its question is answered with `answer`. */
async function ran(options: ChangeOptions, answer = true) {
  const change = async (confirm: (seen: typeof told) => Promise<boolean>) =>
    (await confirm(told)) ? [made] : undefined;
  await runChange(open, options, change, async () => answer);
  const printed = vi.mocked(console.log).mock.calls.map(([text]) => String(text));
  return { printed, exitCode: process.exitCode ?? 0 };
}
const document = ({ printed }: { printed: string[] }) => printed.map((text) => JSON.parse(text));

test("a change that is made ends with how to get in", async () => {
  expect(await ran({})).toEqual({ printed: ["READY api  ssh -F /c/config project-api"], exitCode: 0 });
});

test("one that is not confirmed prints nothing and failed", async () => {
  expect(await ran({}, false)).toEqual({ printed: [], exitCode: 1 });
});

test("one that is only tried out says what would be done, asks nobody, and did not fail", async () => {
  expect(await ran({ dryRun: true })).toEqual({ printed: ["api: new VM"], exitCode: 0 });
});

test("in JSON each of them is one document", async () => {
  expect(document(await ran({ json: true }))).toEqual([{ ...asked, done: true, projects: [made] }]);
  vi.mocked(console.log).mockClear();
  expect(document(await ran({ json: true, dryRun: true }))).toEqual([{ ...asked, done: false, projects: [] }]);
  vi.mocked(console.log).mockClear();
  const refused = await ran({ json: true }, false);
  expect([refused.exitCode, document(refused)]).toEqual([1, [{ ...asked, done: false, projects: [] }]]);
});

test("where there is nobody to ask, nothing is done unless it was confirmed", async () => {
  const change = async (confirm: (seen: typeof told) => Promise<boolean>) => ((await confirm(told)) ? [] : undefined);
  await runChange(open, { yes: true }, change);
  expect(process.exitCode ?? 0).toBe(0);
  await expect(runChange(open, {}, change)).rejects.toThrow("--yes: must be given where there is nobody to ask");
});
