import { beforeEach, expect, test, vi } from "vitest";
import { UserError } from "../../../config/errors.ts";
import { findRunningVm } from "../../../daily/find-vm.ts";
import { explainConnection } from "../../../daily/ssh-targets.ts";
import { VirshError } from "../../../host/virsh-error.ts";

vi.mock("../../../daily/find-vm.ts", () => ({ findRunningVm: vi.fn() }));

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
