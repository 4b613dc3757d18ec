import { describe, expect, test } from "vitest";
import type { BatchAnswer } from "../../../src/libvirt/virsh-answers.ts";
import { connected, withWholeLists } from "../../../src/libvirt/virsh-answers.ts";

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

describe("a connection that is lost while virsh asks", () => {
  const gone = "failed to get domain 'project-demo'";
  const answers = (...errors: string[]) =>
    connected(async (batch) =>
      batch.map((command, i) => ({ command, ok: !errors[i], output: "", error: errors[i] ?? "" })),
    )(errors.map((_, i) => ["dumpxml", String(i)]));

  test("is not seen in what is gone, and in other failures", async () => {
    expect((await answers(gone, "", "storage pool 'a' is not active")).map(({ ok }) => ok)).toEqual([
      false,
      true,
      false,
    ]);
  });

  // virsh says that a domain is not there also where its lookup had no answer, and connects again for the next command.
  test.each([
    "Disconnected from qemu:///system due to end of file",
    "Disconnected from qemu:///system due to keepalive timeout",
    "Disconnected from qemu:///system due to I/O error",
    "End of file while reading data: Input/output error",
    "Cannot recv data: Connection reset by peer",
    "Cannot write data: Broken pipe",
    "internal error: connection closed due to keepalive timeout",
    "internal error: client socket is closed",
    "internal error: received hangup event on socket",
    "failed to connect to the hypervisor",
    "Failed to reconnect to the hypervisor",
    "Reconnected to the hypervisor",
  ])("leaves nothing known of all that was asked with it: %s", async (lost) => {
    const refusal = (error: string, i: number) =>
      `Nothing was changed: what there is on the host is not known.\n  - virsh dumpxml ${i}: must be answered by the host's libvirt (${error})`;
    await expect(answers(`${lost}; ${gone}`)).rejects.toThrow(refusal(`${lost}; ${gone}`, 0));
    // Which command it stands at is chance: another thread of virsh's says it.
    await expect(answers(gone, lost)).rejects.toThrow(refusal(lost, 1));
  });
});
