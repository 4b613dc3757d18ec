import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StackLocked } from "../../../src/checkout/locked-stack.ts";
import { UserError } from "../../../src/core/errors.ts";
import { changeStack, type StackPlace } from "../../../src/engine/change.ts";
import { emptyReport } from "../../../src/engine/events.ts";

/** What the engine does in a test; it is asked in this order. */
const engine = vi.hoisted(() => ({ select: vi.fn(), preview: vi.fn(), up: vi.fn() }));
vi.mock("../../../src/engine/engine.ts", () => ({
  Engine: class {
    pulumi = { isRunning: false };
    select = engine.select;
    preview = engine.preview;
    up = engine.up;
  },
}));

let stack: StackPlace;
const file = () => path.join(stack.root, stack.file);
const text = () => readFileSync(file(), "utf8");
const [before, after] = ["config: {}\n", "config: {}  # changed\n"];

beforeEach(() => {
  const root = mkdtempSync(path.join(tmpdir(), "change-"));
  stack = { name: "storage", root, file: "Pulumi.storage.yaml", isEmbedded: false, mayBeginElsewhere: false };
  mkdirSync(path.join(root, ".local"));
  writeFileSync(file(), before);
  engine.select.mockReset();
  engine.preview.mockReset().mockResolvedValue(emptyReport());
  engine.up.mockReset().mockResolvedValue(emptyReport());
});
afterEach(() => {
  expect([readdirSync(stack.root).sort(), readdirSync(path.join(stack.root, ".local"))]).toEqual([
    [".local", "Pulumi.storage.yaml"],
    [],
  ]);
  rmSync(stack.root, { recursive: true });
});

const change = (confirm: () => Promise<boolean> = async () => true) =>
  changeStack(stack, { edit: () => after, confirm }, () => undefined);

test("a change is tried out in a file of its own, confirmed, written and applied", async () => {
  engine.preview.mockImplementation(async (trial: string) => {
    expect([readFileSync(trial, "utf8"), text()]).toEqual([after, before]);
    return emptyReport();
  });
  engine.up.mockImplementation(async () => expect(text()).toBe(after));
  await change();
  expect(engine.up).toHaveBeenCalledTimes(1);
});

test("a file that was emptied when it is the change's turn is refused, and nothing is tried", async () => {
  engine.select.mockImplementation(async () => writeFileSync(file(), ""));
  await expect(change()).rejects.toThrow("Pulumi.storage.yaml is empty. Nothing was changed.");
  expect([text(), engine.preview.mock.calls]).toEqual(["", []]);
});

test("one that is not confirmed, or fails when it is tried out, leaves the file alone", async () => {
  expect(await change(async () => false)).toBeUndefined();
  engine.preview.mockRejectedValue(new UserError("no"));
  await expect(change()).rejects.toThrow(/^no$/);
  expect([text(), engine.up.mock.calls]).toEqual([before, []]);
});

test("what somebody else wrote while the question was open stays, and nothing is done", async () => {
  const others = "config: {}  # of somebody else\n";
  const refused = change(async () => {
    writeFileSync(file(), others);
    return true;
  });
  await expect(refused).rejects.toThrow(
    [
      "Nothing was changed.",
      "  - Pulumi.storage.yaml: must not change while a question is open",
      "    give the same command again, to see what would be done now",
    ].join("\n"),
  );
  expect([text(), engine.up.mock.calls]).toEqual([others, []]);
});

test("an update that fails keeps what was confirmed, and says how to go on", async () => {
  engine.up.mockRejectedValue(new UserError("no room"));
  await expect(change()).rejects.toThrow(
    "no room\nPulumi.storage.yaml has the change: `project-vm apply --stack storage` goes on from here.",
  );
  expect(text()).toBe(after);
});

test("one that finds the stack locked was not begun: the file is as it was", async () => {
  engine.up.mockRejectedValue(new StackLocked("locked"));
  await expect(change()).rejects.toThrow(/^locked$/);
  expect(text()).toBe(before);
});
