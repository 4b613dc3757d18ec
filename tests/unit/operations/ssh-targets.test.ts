import { beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { Guest } from "../../../src/guest/guest.ts";
import { GuestRefusal, NoHostKeysYet } from "../../../src/guest/guest-refusal.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { findRunningVm, type OwnVm } from "../../../src/operations/find-vm.ts";
import { currentSshConfig, explainConnection } from "../../../src/operations/ssh-targets.ts";
import { anAddress } from "../guest/samples.ts";

vi.mock("../../../src/operations/find-vm.ts", () => ({ findRunningVm: vi.fn() }));

const say = vi.spyOn(console, "error").mockImplementation(() => undefined);
beforeEach(() => void vi.clearAllMocks());

const explain = (exitCode: number) => explainConnection(exitCode, "local", ["api", "db"], "/checkout");

test("a command's own exit code says nothing of the connection, and nobody is asked", async () => {
  await explain(0);
  await explain(1);
  expect([vi.mocked(findRunningVm).mock.calls, say.mock.calls]).toEqual([[], []]);
});

test("a VM that is off by now, or a host that is, is told, and does not hide ssh's exit code", async () => {
  vi.mocked(findRunningVm)
    .mockRejectedValueOnce(new UserError("api is not running."))
    .mockRejectedValueOnce(new VirshError("qemu:///system", [], 1, "gone"));
  await explain(255);
  expect(say.mock.calls).toEqual([["api is not running."], [expect.stringContaining("gone")]]);
});

test("a bug stays one", async () => {
  vi.mocked(findRunningVm).mockRejectedValueOnce(new TypeError("bug"));
  await expect(explain(255)).rejects.toThrow("bug");
});

describe("a VM that is still booting", () => {
  const own = {
    outline: { root: "/nowhere", stack: "local", host: { uri: "test:///default" } },
    vm: { name: "api", addresses: [] },
  } as unknown as OwnVm;
  const addresses = vi.spyOn(Guest.prototype, "addresses").mockResolvedValue([]);
  const answers = vi.spyOn(Guest.prototype, "answers").mockResolvedValue(true);
  const hostKeys = vi.spyOn(Guest.prototype, "hostKeys");
  const error = () => currentSshConfig(own, () => {}).catch((caught: Error) => caught.message);
  const notUp = (lacking: string) =>
    `api cannot be reached yet.\n  - api: must have come up so far that its ${lacking}\n    wait for it: project-vm start api --wait --stack local`;

  test("and whose agent does not answer is told", async () => {
    answers.mockResolvedValueOnce(false);
    expect(await error()).toBe(notUp("guest agent answers"));
  });

  test("and has no host keys yet is told in the same way, with its address or without", async () => {
    hostKeys.mockRejectedValue(new NoHostKeysYet("project-api"));
    expect(await error()).toBe(notUp("SSH server has host keys"));
    addresses.mockResolvedValueOnce([anAddress()]);
    expect(await error()).toBe(notUp("SSH server has host keys"));
  });

  test("is not what one is that has booted and gives no keys", async () => {
    hostKeys.mockRejectedValue(new GuestRefusal("project-api", "SSH host keys", "must hold one"));
    expect(await error()).toContain("What the guest project-api answers is not used.");
  });
});
