import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Issue, UserError } from "../../../config/errors.ts";
import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../../../host/embedded.ts";
import { embeddedHostFor } from "../../../host/embedded-layout.ts";
import { VirshError } from "../../../host/virsh-error.ts";
import { cutsPower } from "../../../local/checkout.ts";

/** Whether libvirt answers in a test, whether a guest may run, what shutting down the guests comes to, and what ends the host. */
const host = vi.hoisted(() => ({
  away: undefined as Issue | undefined,
  answers: true,
  hasGuest: true,
  shutDown: vi.fn(),
  kill: vi.fn(),
}));
vi.mock("../../../host/embedded-look.ts", async (original) => ({
  ...(await original()),
  findProcesses: () => [1],
  mayHaveGuest: () => host.hasGuest,
}));
vi.mock("../../../host/embedded-guests.ts", async (original) => ({
  ...(await original()),
  rememberRunning: async () => undefined,
  shutDownGuests: host.shutDown,
}));
vi.mock("../../../host/embedded-process.ts", async (original) => ({
  ...(await original()),
  waitFor: async () => {
    if (!host.answers) throw new Error("waited");
  },
  killHost: host.kill,
  clearLeftovers: async () => false,
}));
vi.mock("../../../host/mounted.ts", () => ({ whyAway: () => host.away }));
vi.mock("../../../host/programs.ts", async (original) => ({ ...(await original()), requireRoot: () => undefined }));

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "stop-"));
  host.away = undefined;
  host.answers = true;
  host.hasGuest = true;
  host.kill.mockReset();
  host.shutDown.mockReset();
});
afterEach(() => rmSync(dir, { recursive: true }));

let lines: string[];
async function stop({ checkout = dir, cutsPower = false } = {}): Promise<void> {
  lines = [];
  const host = { ...embeddedHostFor(checkout), dir };
  await stopEmbeddedHost(host, (line) => lines.push(line), undefined, cutsPower);
}
const refusal = (reason: string, command: string) =>
  [
    "The embedded host was not stopped, and no guest's power was cut.",
    `  - ${dir}: must tell whether its guests are off, but its libvirt does not: ${reason}`,
    `    try again; to cut the power of all that still run, with the loss of what they have not written: ${command} FORCE=yes`,
  ].join("\n");

const failed = new VirshError("test:///", ["shutdown", "project-app"], 1, "no connection");

describe("a host whose libvirt does not tell whether its guests are off keeps them on", () => {
  test("where one answer did not come", async () => {
    host.shutDown.mockRejectedValue(failed);
    await expect(stop()).rejects.toThrow(refusal(failed.message, "make down"));
    expect(host.kill).not.toHaveBeenCalled();
  });

  test("where none comes", async () => {
    host.answers = false;
    await expect(stop()).rejects.toThrow(refusal("no answer within 30 s", "make down"));
    expect([host.kill.mock.calls, host.shutDown.mock.calls]).toEqual([[], []]);
  });

  test("and has them stopped from elsewhere, where its checkout is gone", async () => {
    host.answers = false;
    const checkout = path.join(dir, "gone");
    await expect(stop({ checkout })).rejects.toThrow(
      refusal("no answer within 30 s", `make down GONE=${path.join(dir, "gone")}`),
    );
  });

  test.each([
    ["one answer did not come", true, `embedded host: its guests are cut off: ${failed.message}`],
    ["none comes", false, "embedded host: its guests are cut off: no answer within 30 s"],
  ])("unless their power may be cut (%s)", async (_, answers, line) => {
    host.answers = answers;
    host.shutDown.mockRejectedValue(failed);
    await stop({ cutsPower: true });
    expect(lines[0]).toBe(line);
    expect(host.kill).toHaveBeenCalledTimes(1);
  });
});

test("so does one with a guest that is paused and does not resume", async () => {
  host.shutDown.mockRejectedValue(new UserError("project-app is paused."));
  await expect(stop()).rejects.toThrow("project-app is paused.");
  expect(host.kill).not.toHaveBeenCalled();
});

test("one where no guest runs is stopped though its libvirt does not answer: nothing can be lost", async () => {
  host.answers = host.hasGuest = false;
  await stop();
  expect(lines[0]).toBe("embedded host: no guest runs, and its libvirt does not answer: no answer within 30 s");
  expect(host.kill).toHaveBeenCalledTimes(1);
});

test.each([
  ["starts", "The embedded host is not started.", startEmbeddedHost],
  ["stops", "Whether there is an embedded host is not known.", stopEmbeddedHost],
  ["is removed", "The embedded host is not removed.", wipeEmbeddedHost],
])("none %s whose folder is on a disk that is not mounted", async (_, title, action) => {
  host.away = { path: "/hosts/a", rule: "must be on what /etc/fstab mounts", remedy: "mount it" };
  const nowhere = { ...embeddedHostFor(dir), dir: path.join(dir, "none") };
  const refusal = `${title}\n  - /hosts/a: must be on what /etc/fstab mounts\n    mount it`;
  await expect(action(nowhere, () => undefined)).rejects.toThrow(refusal);
  expect(existsSync(nowhere.dir)).toBe(false);
});

test("`make down` cuts power by FORCE=yes alone", () => {
  expect([cutsPower({}), cutsPower({ FORCE: "" }), cutsPower({ FORCE: "yes" })]).toEqual([false, false, true]);
  expect(() => cutsPower({ FORCE: "1" })).toThrow(
    [
      "Nothing was stopped.",
      '  - FORCE: must be yes, but is "1"',
      "    to cut the power of guests that cannot be shut down: FORCE=yes; else leave it out",
    ].join("\n"),
  );
});
