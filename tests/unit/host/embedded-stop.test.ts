import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { UserError } from "../../../config/errors.ts";
import { embeddedHostFor, stopEmbeddedHost } from "../../../host/embedded.ts";
import { VirshError } from "../../../host/virsh.ts";

/** What shutting down the guests comes to in a test, and what ends the host. */
const host = vi.hoisted(() => ({ shutDown: vi.fn(), kill: vi.fn() }));
vi.mock("../../../host/embedded-look.ts", async (original) => ({ ...(await original()), findProcesses: () => [1] }));
vi.mock("../../../host/embedded-guests.ts", async (original) => ({
  ...(await original()),
  rememberRunning: async () => undefined,
  shutDownGuests: host.shutDown,
}));
vi.mock("../../../host/embedded-process.ts", async (original) => ({
  ...(await original()),
  waitFor: async () => undefined,
  killHost: host.kill,
  clearLeftovers: async () => false,
}));
vi.mock("../../../host/programs.ts", async (original) => ({ ...(await original()), requireRoot: () => undefined }));

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "stop-"));
  host.kill.mockReset();
});
afterEach(() => rmSync(dir, { recursive: true }));

async function stop(failure: Error): Promise<string[]> {
  host.shutDown.mockRejectedValue(failure);
  const lines: string[] = [];
  await stopEmbeddedHost({ ...embeddedHostFor(dir), dir }, (line) => lines.push(line));
  return lines;
}

test("a virsh that fails while guests shut down does not keep the host from ending", async () => {
  const lines = await stop(new VirshError("test:///", ["shutdown", "project-app"], 1, "no connection"));
  expect(lines[0]).toMatch(/^embedded host: its guests are cut off: virsh -c test:\/\/\/ shutdown project-app failed/);
  expect(host.kill).toHaveBeenCalledTimes(1);
});

test("a guest that is paused and does not resume does", async () => {
  await expect(stop(new UserError("project-app is paused."))).rejects.toThrow("project-app is paused.");
  expect(host.kill).not.toHaveBeenCalled();
});
