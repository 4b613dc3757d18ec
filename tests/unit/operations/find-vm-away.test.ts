import { expect, test, vi } from "vitest";
import { findVm } from "../../../src/operations/find-vm.ts";
import { aHost, anOutline } from "./samples.ts";

/** What is said of the disks that are not mounted. */
const away = { path: "/hosts/a-1", rule: "must be on what /etc/fstab mounts at /hosts", remedy: "mount it" };
const mounted = vi.hoisted(() => ({ whyHostIsAway: vi.fn(), requireMounted: vi.fn() }));
vi.mock("../../../src/checkout/outline.ts", () => ({ readOutline: async () => anOutline() }));
vi.mock("../../../src/operations/look-at-vms.ts", () => ({ lookAtVms: async () => aHost() }));
vi.mock("../../../src/checkout/stack-state.ts", async (original) => ({
  ...(await original<object>()),
  readStackState: async () => undefined,
}));
vi.mock("../../../src/project-disks/mounted.ts", () => ({ requireMounted: mounted.requireMounted }));
vi.mock("../../../src/embedded-host/lost-hosts.ts", async (original) => ({
  ...(await original<object>()),
  embeddedHosts: () => [],
  whyHostIsAway: mounted.whyHostIsAway,
}));

test("a VM whose disks are on a disk that is not mounted is not known, rather than not made yet", async () => {
  await expect(findVm("storage", "webapp", "/")).rejects.toThrow("must have been made, but is only in the config");
  mounted.requireMounted.mockRejectedValueOnce(new Error("its folder is away"));
  await expect(findVm("storage", "webapp", "/")).rejects.toThrow("its folder is away");
  expect(mounted.requireMounted).toHaveBeenLastCalledWith(
    expect.objectContaining({ storageDir: "/vms" }),
    ["webapp"],
    "What there is of webapp is not known.",
  );
  mounted.whyHostIsAway.mockReturnValueOnce(away);
  await expect(findVm("storage", "webapp", "/")).rejects.toThrow(
    "What there is of webapp is not known.\n  - /hosts/a-1: must be on what /etc/fstab mounts at /hosts\n    mount it",
  );
  // Of a name that the config has not, nothing may be away.
  await expect(findVm("storage", "webap", "/")).rejects.toThrow("did you mean webapp?");
});
