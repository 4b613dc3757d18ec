import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cutsPower } from "../../../src/checkout/checkout.ts";
import { type Issue, UserError } from "../../../src/core/errors.ts";
import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import type { GuestProcess } from "../../../src/libvirt/embedded-look.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";

/** Whether libvirt answers in a test, whether a guest may run, what shutting down the guests comes to, and what ends the host. */
const host = vi.hoisted(() => ({
  away: undefined as Issue | undefined,
  answers: true,
  hasGuest: true,
  guests: [] as GuestProcess[],
  shutDown: vi.fn(),
  kill: vi.fn(),
}));
vi.mock("../../../src/libvirt/embedded-look.ts", async (original) => ({
  ...(await original()),
  findProcesses: () => [1],
  mayHaveGuest: () => host.hasGuest,
  guestProcesses: () => host.guests,
}));
vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  virshFor: (uri: string) => ({ uri, run: async () => "project-known\n" }),
}));
vi.mock("../../../src/embedded-host/embedded-guests.ts", async (original) => ({
  ...(await original()),
  rememberRunning: async () => undefined,
  shutDownGuests: host.shutDown,
}));
vi.mock("../../../src/embedded-host/embedded-process.ts", async (original) => ({
  ...(await original()),
  waitFor: async () => {
    if (!host.answers) throw new Error("waited");
  },
  killHost: host.kill,
  clearLeftovers: async () => false,
}));
vi.mock("../../../src/embedded-host/local-mounts.ts", () => ({ whyAway: () => host.away }));
vi.mock("../../../src/core/programs.ts", async (original) => ({ ...(await original()), requireRoot: () => undefined }));

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "stop-"));
  host.away = undefined;
  host.answers = true;
  host.hasGuest = true;
  host.guests = [];
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

describe("one with a guest that runs unknown to its libvirt keeps that on", () => {
  const known = { domain: "project-known", pid: 11 };
  const unknown = { domain: "project-demo", pid: 12 };
  const stays = [
    "The embedded host was not stopped, and no guest's power was cut.",
    "  - project-demo: must be known to its libvirt while it runs, but a QEMU of project-demo runs that libvirt does not know (process 12)",
    "    log in to it by the `ssh` command that `project-vm status` prints, and shut it down (sudo poweroff), without which what it has not written is lost; then end its process: kill 12; to cut the power of all that still run, with the loss of what they have not written: make down FORCE=yes",
  ].join("\n");
  const stopByUri = (cutsPower = false) => {
    lines = [];
    return stopEmbeddedHost(embeddedHostAs(dir), (line) => lines.push(line), undefined, cutsPower);
  };
  const embeddedHostAs = (at: string) => ({
    ...embeddedHostFor(at),
    dir: at,
    uri: `qemu+unix:///system?socket=${at}/run/libvirt/libvirt-sock`,
  });

  test("and all others too", async () => {
    host.guests = [known, unknown];
    await expect(stopByUri()).rejects.toThrow(stays);
    expect([host.shutDown.mock.calls, host.kill.mock.calls]).toEqual([[], []]);
  });

  test("also where libvirt lost it while the others were shut down", async () => {
    host.shutDown.mockImplementation(async () => {
      host.guests = [unknown];
    });
    await expect(stopByUri()).rejects.toThrow(stays);
    expect(host.kill).not.toHaveBeenCalled();
  });

  test("unless its power may be cut, which is said", async () => {
    host.guests = [known, unknown];
    await stopByUri(true);
    expect(lines[0]).toBe(
      "embedded host: its guests are cut off: project-demo: must be known to its libvirt while it runs, but a QEMU of project-demo runs that libvirt does not know (process 12)",
    );
    expect([host.shutDown.mock.calls.length, host.kill.mock.calls.length]).toEqual([1, 1]);
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
