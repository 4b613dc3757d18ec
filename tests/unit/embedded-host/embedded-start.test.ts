import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { startEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";

/** Whether the host runs in a test, what was started again, and what the machine says of its routes. */
const world = vi.hoisted(() => ({ runs: false, startedAgain: [] as string[], routes: (): string => "" }));
vi.mock("../../../src/libvirt/embedded-look.ts", async (original) => ({
  ...(await original<object>()),
  findProcesses: () => (world.runs ? [1] : []),
}));
vi.mock("../../../src/embedded-host/embedded-process.ts", async (original) => ({
  ...(await original<object>()),
  launch: () => {
    world.runs = true;
  },
  waitFor: async () => undefined,
  clearLeftovers: async () => false,
}));
vi.mock("../../../src/embedded-host/embedded-files.ts", async (original) => ({
  ...(await original<object>()),
  prepareFiles: async () => {},
  guardFolders: async () => {},
  noteCheckout: async () => {},
}));
vi.mock("../../../src/embedded-host/embedded-guests.ts", async (original) => ({
  ...(await original<object>()),
  rememberRunning: async () => undefined,
  recallRunning: async () => ({ domains: ["project-web"], networks: [], pools: [] }),
  startAgain: async (_: unknown, { domains }: { domains: string[] }) => {
    world.startedAgain.push(...domains);
  },
}));
vi.mock("../../../src/embedded-host/local-mounts.ts", () => ({ whyAway: () => undefined }));
vi.mock("../../../src/libvirt/kvm.ts", () => ({ kvmWorks: async () => ({ works: true, why: "" }) }));
vi.mock("../../../src/core/programs.ts", async (original) => ({
  ...(await original<object>()),
  requireRoot: () => {},
  requirePrograms: async () => {},
}));
const takeUserId = vi.hoisted(() => vi.fn());
vi.mock("../../../src/embedded-host/embedded-users.ts", () => ({
  userIdOf: () => undefined,
  requireOwnQemuId: () => undefined,
  takeUserId,
}));
vi.mock("../../../src/embedded-host/uplink-setting.ts", () => ({ wantsUplink: () => true }));
vi.mock("../../../src/embedded-host/inside-processes.ts", () => ({
  processesInside: () => [],
  pidNamespace: () => "/proc/1/ns/pid",
  userOf: () => undefined,
}));
vi.mock("node:child_process", async (original) => ({
  ...(await original<object>()),
  execFileSync: () => world.routes(),
}));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return { ...fs, existsSync: (file: string) => file === "/dev/net/tun" || fs.existsSync(file) };
});

beforeEach(() => {
  Object.assign(world, { runs: false, startedAgain: [], routes: () => "default via 192.0.2.1" });
  takeUserId.mockReset();
});

const tooLong = new UserError("Another process took too long.", [
  { path: "user-ids.lock", rule: "must be released within 150 s", remedy: "wait until that one has ended" },
]);
const takes = (uplink: () => number) =>
  takeUserId.mockImplementation(async (_: unknown, program: string) => (program === "uplink" ? uplink() : 65_520));

test.each<[string, () => void, string]>([
  [
    "it gets no user of its own",
    () =>
      takes(() => {
        throw tooLong;
      }),
    "user-ids.lock: must be released within 150 s; wait until that one has ended",
  ],
  ["its log cannot be written", () => takes(() => 65_521), "EISDIR: illegal operation on a directory, open '.*'"],
  [
    "the machine does not tell its routes",
    () => {
      world.routes = () => {
        throw new Error("Command failed: ip -4 route show default\nCannot open netlink socket");
      };
    },
    "this machine does not tell its routes: Command failed: ip -4 route show default.*Cannot open netlink socket",
  ],
])("the guests that ran start also where there is no way out, as %s", async (_, goWrong, problem) => {
  const dir = mkdtempSync(path.join(tmpdir(), "start-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  mkdirSync(path.join(dir, "run/uplink.log"), { recursive: true });
  goWrong();
  const lines: string[] = [];
  await startEmbeddedHost({ ...embeddedHostFor("/a/checkout"), dir }, (line) => void lines.push(line));
  expect(world.startedAgain).toEqual(["project-web"]);
  expect(lines.at(-1)).toMatch(new RegExp(`^embedded host: its VMs have no way out: ${problem}$`));
});
