import { describe, expect, test } from "vitest";
import type { Census } from "../../ci/census.ts";
import { isOwnMachine, mayBeOthers, passedOver, sharedPlaces } from "../../ci/of-others.ts";

const own = ["/tmp/pvms-ci", "/home/me"];
const places = {
  temporary: "/tmp/pvms-ci",
  homes: ["/home/me"],
  shared: sharedPlaces("/home/me/src/vms", own),
  hosts: ["/var/lib/project-vms/theirs-1"],
};
const before: Census = {
  file: { "/home/me/other/.git": "", "/home/me/.git": "", "/opt/tool/.git": "", "/tmp/pvms-ci/e2e/.git": "" },
};
const verdict = (name: string, word: "left" | "changed" = "left", kind = "file") =>
  mayBeOthers({ kind, word, name }, places, before);

describe("a file that was made", () => {
  test.each([
    "/dev/nul",
    "/etc/passwd",
    "/etc/netns/a",
    "/opt/x",
    "/run/netns/a",
    "/run/x",
    "/srv/x",
    "/usr/lib/x",
    "/usr/local/bin/x",
    "/var/lib/libvirt/images/x",
    "/var/lib/tailscale",
    "/var/lib/x",
    "/var/log/x.log",
    "/var/spool/cron/crontabs/root",
    "/x",
    "/home/me/.pulumi",
    "/home/me/.config/tailscale/ssh_known_hosts",
    "/tmp/project-vms-1",
    "/tmp/pvms-ci",
    "/tmp/pvms-ci/x",
    "/tmp/pvms-ci/e2e/x",
    "/var/tmp/mmdebstrap.abc",
    "/home/me/src/project-vms-e2e",
  ])("%s is the run's", (name) => {
    expect([true, false].map((isOwn) => passedOver(isOwn).test(name))).toEqual([false, false]);
    expect(verdict(name)).toBe(false);
  });

  test.each([
    "/dev/shm/sem.a",
    "/tmp/x",
    "/var/tmp/x",
    "/home/you/x",
    "/home/me/src/x",
    "/home/me/src/other/project",
    "/home/me/other/src/x",
    "/home/me/.bash_history",
    "/home/me/.claude/x",
    "/opt/tool/x",
    "/usr/lib/python3/dist-packages/__pycache__/a.pyc",
    "/run/libvirt/qemu/a.pid",
  ])("%s may be other work's, but is looked at", (name) => {
    expect([true, false].map((isOwn) => passedOver(isOwn).test(name))).toEqual([false, false]);
    expect(verdict(name)).toBe(true);
  });

  test.each([
    "/etc/resolv.conf",
    "/run/systemd/journal/streams/8:1",
    "/run/user/1000/x",
    "/run/libvirt/virtlogd.pid",
    "/run/libvirt/libvirt-sock-ro",
    "/var/lib/apt/periodic/update-stamp",
    "/var/lib/systemd/timers/stamp-a",
    "/var/lib/logrotate/status",
    "/var/log/journal/a/system.journal",
    "/var/log/auth.log",
    "/var/log/nginx/access.log.2.gz",
    "/home/runner/runners/2/_diag/pages/a.log",
  ])("%s is the machine's own", (name) => {
    expect([true, false].map((isOwn) => passedOver(isOwn).test(name))).toEqual([true, true]);
  });
});

test.each(["/home/me/src/other/node_modules/x", "/home/me/src/other/.git/objects/ab"])(
  "%s is looked at where nobody else works",
  (name) => {
    expect([true, false].map((isOwn) => passedOver(isOwn).test(name))).toEqual([false, true]);
  },
);

test.each(["/home/me/node_modules", "/usr/lib/node_modules/x", "/home/me/src/other/.git/config"])(
  "%s always",
  (name) => {
    expect([true, false].map((isOwn) => passedOver(isOwn).test(name))).toEqual([false, false]);
  },
);

test("a machine is the run's own by what GitHub's runners say of themselves", () => {
  const values = ["github-hosted", "self-hosted", "", undefined];
  const environments = values.map((value) => (value === undefined ? {} : { RUNNER_ENVIRONMENT: value }));
  expect(environments.map(isOwnMachine)).toEqual([true, false, false, false]);
});

test("what is called like ours where all programs write is another run's if that only changed or removed it", () => {
  expect(verdict("/tmp/project-vms-tests")).toBe(false);
  expect(verdict("/tmp/project-vms-tests", "changed")).toBe(true);
});

test("a mount is whose its place is", () => {
  expect(verdict("/tmp/x/state (tmpfs)", "left", "mount")).toBe(true);
  expect(verdict("/tmp/pvms-ci/x/state (tmpfs)", "left", "mount")).toBe(false);
  expect(verdict("/mnt/x (ext4)", "left", "mount")).toBe(false);
});

test("in the folder of the machine's libvirt what is changed may be other work's", () => {
  expect(verdict("/var/lib/libvirt/images/x", "changed")).toBe(true);
});

test("what belongs to another checkout's embedded host is other work's", () => {
  expect(verdict("/var/lib/project-vms/theirs-1", "left", "host folder")).toBe(true);
  expect(verdict("/var/lib/project-vms/theirs-1/run/netns (nsfs)", "left", "network namespace")).toBe(true);
  expect(verdict("/var/lib/project-vms/theirs-12/run/netns (nsfs)", "left", "network namespace")).toBe(false);
  expect(verdict("virbr9", "left", "network interface")).toBe(false);
});

test.each([
  ["/home/me/src/vms", ["/home/me/src"]],
  ["/home/me/src/a/b/vms", ["/home/me/src"]],
  ["/home/me/vms", []],
  ["/work/h/vms", ["/work"]],
  ["/vms", []],
  ["/var/lib/jenkins/workspace/vms", ["/var/lib/jenkins"]],
])("beside a checkout at %s others are at work in %j", (checkout, expected) => {
  expect(sharedPlaces(checkout, own)).toEqual(["/tmp", "/var/tmp", "/dev/shm", "/home", ...expected]);
});

test("temporary files of a run that has /tmp for them are all the run's", () => {
  const shared = sharedPlaces("/work/vms", ["/tmp", "/root"]);
  expect(
    mayBeOthers({ kind: "file", word: "left", name: "/tmp/x" }, { ...places, temporary: "/tmp", shared }, before),
  ).toBe(false);
});
