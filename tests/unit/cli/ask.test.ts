import { afterEach, expect, test, vi } from "vitest";
import { askForName, askToGoOn } from "../../../cli/ask.ts";

afterEach(() => vi.restoreAllMocks());

const facts = ["This removes, for good:", "  /vms/\u202egpj/project.qcow2 on qemu:///system\u009b2J"];

test.each<[string, () => Promise<boolean>]>([
  ["yes or no", () => askToGoOn({ facts, question: "Do it?", refusal: "Nothing was removed." }, true)],
  ["its name", () => askForName("webapp", facts, true)],
])("what is asked about is shown as it is, whatever a config has in its paths (%s)", async (_, ask) => {
  const shown = vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(await ask()).toBe(true);
  expect(shown.mock.calls).toEqual([
    ["This removes, for good:\n  /vms/\\u{202e}gpj/project.qcow2 on qemu:///system\\x9b2J"],
  ]);
});
