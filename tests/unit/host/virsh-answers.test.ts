import { describe, expect, test } from "vitest";
import type { BatchAnswer } from "../../../host/virsh.ts";
import { withWholeLists } from "../../../host/virsh-answers.ts";

/** As virsh says it when a pool goes between its list and its look at each. */
const cutShort = "Could not retrieve pool information";

/** A libvirt whose lists of pools are cut short so many times; what it was asked, too. */
function racing(times: number, error = cutShort) {
  const asked: string[] = [];
  let left = times;
  const answer = (command: string[]): BatchAnswer => {
    asked.push(command.join(" "));
    const fails = command[0] !== "list" && left-- > 0;
    return fails ? { command, ok: false, output: "", error } : { command, ok: true, output: "there", error: "" };
  };
  const ask = withWholeLists(async (batch) => batch.map(answer));
  return { ask, asked };
}

describe("a list of pools that fails because one of them went meanwhile", () => {
  test("is asked for again, it alone, and stands where it was asked for", async () => {
    const { ask, asked } = racing(2);
    const answers = await ask([["list"], ["pool-list", "--all"], ["list", "--all"], ["pool-list"]]);
    expect(answers.map(({ command, ok }) => [command.join(" "), ok])).toEqual([
      ["list", true],
      ["pool-list --all", true],
      ["list --all", true],
      ["pool-list", true],
    ]);
    expect(asked).toEqual(["list", "pool-list --all", "list --all", "pool-list", "pool-list --all", "pool-list"]);
  });

  test("fails in the end, where it goes on", async () => {
    const { ask, asked } = racing(100);
    expect(await ask([["pool-list"]])).toMatchObject([{ ok: false, error: cutShort }]);
    expect(asked.length).toBe(6);
  });

  test.each([
    ["another failure", ["pool-list"], "Failed to list pools"],
    ["another command", ["pool-info", "x"], cutShort],
  ])("%s is not asked again", async (_, command, error) => {
    const { ask, asked } = racing(1, error);
    expect(await ask([command])).toMatchObject([{ ok: false, error }]);
    expect(asked.length).toBe(1);
  });
});
