import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

/** What the host and the VM do in a test. */
const host = vi.hoisted(() => ({
  start: vi.fn(),
  ready: vi.fn(),
  select: vi.fn(),
  update: vi.fn(),
  locks: vi.fn(),
  release: vi.fn(),
  room: vi.fn(),
  state: vi.fn(),
  root: "",
}));
vi.mock("../../../src/core/execa.ts", () => ({
  execa: async (_: string, args: string[]) => ({
    exitCode: 0,
    ...(args[1] === "select" ? host.select() : {}),
    ...(args[0] === "up" ? host.update() : {}),
    stdout: JSON.stringify({ app: { name: "app", addresses: [], hostKeys: [] } }),
  }),
}));
vi.mock("../../../src/checkout/stack-state.ts", () => ({ readStackState: async () => undefined }));
vi.mock("../../../src/guest/ready.ts", async (original) => ({ ...(await original()), waitUntilReady: host.ready }));
vi.mock("../../../src/checkout/ssh-files.ts", async (original) => ({
  ...(await original()),
  writeSshFiles: () => undefined,
}));
vi.mock("../../../src/embedded-host/embedded.ts", async (original) => ({
  ...(await original()),
  startEmbeddedHost: host.start,
}));
vi.mock("../../../src/libvirt/inventory.ts", () => ({
  takeInventory: async () => ({ virtualization: "kvm", domains: [{ name: "project-app", state: "running" }] }),
}));
vi.mock("../../../src/embedded-host/lost-hosts.ts", async (original) => ({
  ...(await original()),
  lostHosts: () => [],
}));
vi.mock("../../../src/checkout/checkout.ts", () => ({
  get projectRoot() {
    return host.root;
  },
  ensureSshKey: async () => undefined,
}));
vi.mock("../../../src/checkout/stack-lock.ts", async (original) => ({
  ...(await original()),
  releaseDeadLocks: async () => host.release(),
  readLocks: async () => host.locks(),
}));
vi.mock("../../../src/checkout/state-room.ts", () => ({ requireStateRoom: async () => host.room() }));
vi.mock("../../../src/checkout/broken-state.ts", () => ({ requireReadableState: async () => host.state() }));

const file = () => path.join(host.root, "Pulumi.local.yaml");
const text = "config:\n  project-vms:projects: {app: {}}\n";

beforeEach(() => {
  host.root = mkdtempSync(path.join(tmpdir(), "up-"));
  writeFileSync(file(), text);
  vi.resetModules();
  host.state.mockReset();
  host.room.mockReset();
  host.start.mockReset();
  host.ready.mockReset();
  host.select.mockReset();
  host.update.mockReset();
  host.release.mockReset();
  host.locks.mockReset().mockReturnValue([]);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(host.root, { recursive: true });
});

/** What `make up`'s program prints as its error, and its exit code. */
async function up(): Promise<{ failure: string; exitCode: unknown }> {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const errors = vi.spyOn(console, "error").mockReturnValue();
  await import("../../../make/up.ts");
  return { failure: errors.mock.calls.join("\n"), exitCode: process.exitCode };
}

test("a VM that is not ready is told without a stack trace", async () => {
  const { NotReadyError } = await import("../../../src/guest/ready.ts");
  host.ready.mockRejectedValue(new NotReadyError("project-app", "boot", 180, "the agent did not answer", "login:"));
  const said = "project-app is not ready: stage boot failed after 180 s:\n  | the agent did not answer";
  expect(await up()).toEqual({ failure: `${said}\nThe end of the guest's log:\n  | login:`, exitCode: 1 });
});

test("a virsh that fails is told without a stack trace, wherever it does", async () => {
  const { VirshError } = await import("../../../src/libvirt/virsh-error.ts");
  host.start.mockRejectedValue(new VirshError("qemu:///system", ["net-start", "it"], 1, "no such bridge"));
  const failure = "virsh -c qemu:///system net-start it failed (exit code 1): no such bridge";
  expect(await up()).toEqual({ failure, exitCode: 1 });
});

test("a VM whose wait fails by a virsh is told like one that is not ready", async () => {
  const { VirshError } = await import("../../../src/libvirt/virsh-error.ts");
  host.ready.mockRejectedValue(new VirshError("qemu:///system", ["dominfo", "project-app"], 1, "gone"));
  expect((await up()).failure).toBe("virsh -c qemu:///system dominfo project-app failed (exit code 1): gone");
});

test("a lock that an engine left which was killed while it began the stack is released before the stack is looked for", async () => {
  host.select.mockImplementation(() => {
    if (host.release.mock.calls.length > 0) return {};
    return { failed: true, all: "error: could not create stack: the stack is currently locked by 1 lock(s)." };
  });
  host.ready.mockResolvedValue({ addresses: [], hostKeys: [] });
  expect((await up()).failure).toBe("");
});

test.each(["room", "state"] as const)("where the state has no %s, not even the host is started", async (what) => {
  const { UserError } = await import("../../../src/core/errors.ts");
  host[what].mockImplementation(() => {
    throw new UserError(`The state of the stack local has no ${what}.`);
  });
  expect(await up()).toEqual({ failure: `The state of the stack local has no ${what}.`, exitCode: 1 });
  expect(host.start).not.toHaveBeenCalled();
});

test("a stack's file that was emptied is refused before the host is started", async () => {
  writeFileSync(file(), "\0\0");
  expect((await up()).failure).toContain("Pulumi.local.yaml is empty. Nothing was changed.");
  expect(host.start).not.toHaveBeenCalled();
});

test("a stack's file that an engine emptied which was killed while it looked for the stack is put back", async () => {
  host.select.mockImplementation(() => {
    writeFileSync(file(), "");
    return { failed: true, all: "" };
  });
  expect((await up()).failure).toContain("pulumi stack select --create local did not succeed");
  expect(readFileSync(file(), "utf8")).toBe(text);
});

test("so is one that an engine emptied which was killed in an update", async () => {
  host.update.mockImplementation(() => {
    writeFileSync(file(), "");
    return { exitCode: 255 };
  });
  expect((await up()).failure).toContain("pulumi up --stack local --yes --skip-preview did not succeed");
  expect(readFileSync(file(), "utf8")).toBe(text);
});

test("a stack that another update works on is told with who that is, and not with how to take its lock", async () => {
  const { hostname } = await import("node:os");
  host.locks.mockReturnValue([
    { pid: 0, hostname: hostname(), username: "gone" },
    { pid: 4711, hostname: "elsewhere", username: "eva" },
  ]);
  const { failure, exitCode } = await up();
  expect(failure).toBe(`Nothing was changed: something else works on the stack local.
  - stack local: is locked by process 4711 of eva on elsewhere
    wait until that has ended; if it is surely gone: \`pulumi cancel -s local\` (in a shell of \`eval "$(make -s env)"\`), then the same command again`);
  expect(exitCode).toBe(1);
});

const eva = { pid: 4711, hostname: "elsewhere", username: "eva" };
const lockOfEva = `  - stack local: is locked by process 4711 of eva on elsewhere
    wait until that has ended; if it is surely gone: \`pulumi cancel -s local\` (in a shell of \`eval "$(make -s env)"\`), then the same command again`;

test("so is one that another engine was faster to begin, and whose lock this one met half written", async () => {
  host.select.mockImplementation(() => {
    host.locks.mockReturnValue([eva]);
    return { failed: true, all: "error: could not create stack: unexpected end of JSON input" };
  });
  expect(await up()).toEqual({
    failure: `Nothing was changed: something else works on the stack local.\n${lockOfEva}`,
    exitCode: 1,
  });
});

test("an update that did not succeed beside another one names that, and does not say that nothing was changed", async () => {
  host.update.mockImplementation(() => {
    host.locks.mockReturnValue([eva]);
    return { exitCode: 255 };
  });
  const failure = `pulumi up --stack local --yes --skip-preview did not succeed; what it says is above.\n${lockOfEva}`;
  expect(await up()).toEqual({ failure, exitCode: 1 });
});

test("a stack file whose secrets are under another passphrase is told with what to do", async () => {
  const all = "error: could not create secrets manager for new stack: incorrect passphrase";
  host.select.mockReturnValue({ failed: true, all });
  expect((await up()).failure).toBe(`The stack local cannot be opened.
  - Pulumi.local.yaml: encryptionsalt: must be of the passphrase that is used here, but is of another one
    write that one into .local/passphrase; if it is lost: take encryptionsalt and all values with \`secure:\` out of Pulumi.local.yaml, and set those again`);
  host.select.mockReturnValue({ failed: true, all: "error: no" });
  vi.resetModules();
  expect((await up()).failure).toContain("pulumi stack select --create local did not succeed:\nerror: no");
});

test("an update at a salt that a full disk cut off names that", async () => {
  writeFileSync(file(), `${text}encryptionsalt: v1:94SQ5ONMMK8=:v1:hiEW`);
  host.update.mockReturnValue({ exitCode: 255 });
  expect((await up()).failure).toContain(
    "what it says is above.\n  - Pulumi.local.yaml: encryptionsalt: must be whole, but is cut off, as a full disk leaves it\n",
  );
});

test("a stack file that an update's engine says it could not write is put back", async () => {
  const projects = Array.from({ length: 99 }, (_, i) => `    p${i}: *x\n`).join("");
  const merged = `config:\n  x: &x {memory: 2 GiB}\n  projects:\n${projects}`;
  writeFileSync(file(), merged);
  const stderr = "error: getting stack configuration: save stack config: write x: no space left on device";
  host.update.mockImplementation(() => {
    writeFileSync(file(), merged.replaceAll("*x", "\n    memory: 2 GiB").slice(0, 512));
    return { exitCode: 255, stderr };
  });
  expect((await up()).failure).toContain("what it says is above");
  expect(readFileSync(file(), "utf8")).toBe(merged);
});

test("a bug keeps its trace, and asks to be reported", async () => {
  host.ready.mockRejectedValue(new TypeError("x is undefined"));
  const { failure, exitCode } = await up();
  expect(failure).toMatch(/^TypeError: x is undefined\n {4}at (.*\n)+This is a bug in project-vms: please report it/);
  expect(exitCode).toBe(1);
});
