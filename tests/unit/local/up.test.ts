import { afterEach, beforeEach, expect, test, vi } from "vitest";

/** What the host and the VM do in a test. */
const host = vi.hoisted(() => ({ start: vi.fn(), ready: vi.fn() }));
vi.mock("execa", () => ({
  execa: async () => ({ exitCode: 0, stdout: JSON.stringify({ app: { name: "app", addresses: [], hostKeys: [] } }) }),
}));
vi.mock("../../../config/stack-file.ts", () => ({ checkStackFile: () => undefined }));
vi.mock("../../../daily/stack-state.ts", () => ({ readStackState: async () => undefined }));
vi.mock("../../../guest/ready.ts", async (original) => ({ ...(await original()), waitUntilReady: host.ready }));
vi.mock("../../../guest/ssh-files.ts", async (original) => ({ ...(await original()), writeSshFiles: () => undefined }));
vi.mock("../../../host/embedded.ts", async (original) => ({ ...(await original()), startEmbeddedHost: host.start }));
vi.mock("../../../host/inventory.ts", () => ({
  takeInventory: async () => ({ virtualization: "kvm", domains: [{ name: "project-app", state: "running" }] }),
}));
vi.mock("../../../host/lost-hosts.ts", async (original) => ({ ...(await original()), lostHosts: () => [] }));
vi.mock("../../../local/checkout.ts", () => ({ projectRoot: process.cwd(), ensureSshKey: async () => undefined }));
vi.mock("../../../local/stack-lock.ts", () => ({ releaseDeadLocks: async () => undefined }));

beforeEach(() => {
  vi.resetModules();
  host.start.mockReset();
  host.ready.mockReset();
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** What `make up`'s program prints as its error, and its exit code. */
async function up(): Promise<{ failure: string; exitCode: unknown }> {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const errors = vi.spyOn(console, "error").mockReturnValue();
  await import("../../../local/up.ts");
  return { failure: errors.mock.calls.join("\n"), exitCode: process.exitCode };
}

test("a VM that is not ready is told without a stack trace", async () => {
  const { NotReadyError } = await import("../../../guest/ready.ts");
  host.ready.mockRejectedValue(new NotReadyError("project-app", "boot", 180, "the agent did not answer", "login:"));
  const said = "project-app is not ready: stage boot failed after 180 s:\n  | the agent did not answer";
  expect(await up()).toEqual({ failure: `${said}\nThe end of the guest's log:\n  | login:`, exitCode: 1 });
});

test("a virsh that fails is told without a stack trace, wherever it does", async () => {
  const { VirshError } = await import("../../../host/virsh.ts");
  host.start.mockRejectedValue(new VirshError("qemu:///system", ["net-start", "it"], 1, "no such bridge"));
  const failure = "virsh -c qemu:///system net-start it failed (exit code 1): no such bridge";
  expect(await up()).toEqual({ failure, exitCode: 1 });
});

test("a VM whose wait fails by a virsh is told like one that is not ready", async () => {
  const { VirshError } = await import("../../../host/virsh.ts");
  host.ready.mockRejectedValue(new VirshError("qemu:///system", ["dominfo", "project-app"], 1, "gone"));
  expect((await up()).failure).toBe("virsh -c qemu:///system dominfo project-app failed (exit code 1): gone");
});

test("a bug keeps its trace, and asks to be reported", async () => {
  host.ready.mockRejectedValue(new TypeError("x is undefined"));
  const { failure, exitCode } = await up();
  expect(failure).toMatch(/^TypeError: x is undefined\n {4}at (.*\n)+This is a bug in project-vms: please report it/);
  expect(exitCode).toBe(1);
});
