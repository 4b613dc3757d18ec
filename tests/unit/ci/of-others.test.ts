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
    "/etc/passwd.raw",
    "/etc/systemd/system/project-vms-backup.timer",
    "/opt/x",
    "/run/netns/a",
    "/run/x",
    "/srv/x",
    "/usr/lib/x",
    "/usr/local/bin/x",
    "/var/lib/libvirt/images/x",
    "/var/lib/tailscale",
    "/var/lib/project-vms",
    "/var/log/tailscale/x.log",
    "/var/spool/cron/crontabs/root",
    "/x",
    "/home/me/.pulumi",
    "/home/me/.config",
    "/home/me/.config/go/telemetry",
    "/home/me/.config/tailscale/ssh_known_hosts",
    "/home/me/.cache/project-vms",
    "/home/me/.cache/pulumi/x",
    "/home/me/.local/share/libvirt",
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
    "/home/me/.config/Code/User/settings.json",
    "/home/me/.mozilla/firefox/a",
    "/home/me/.cache/mozilla/firefox/a",
    "/home/me/.local/share/recently-used.xbel",
    "/etc/cups/printers.conf",
    "/var/lib/postgresql/16/main/base/1",
    "/var/log/nginx/access.log",
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

test.each<[string, string, "left" | "changed" | "removed"]>([
  ["firewall rule", "iptables-save: *filter > -A f2b-sshd -s 192.0.2.1/32 -j REJECT", "removed"],
  ["firewall rule", "nft: table inet wg-quick-wg0", "left"],
  ["kernel setting", "net/ipv4/ip_forward", "changed"],
  ["kernel setting", "net/ipv4/conf/all/src_valid_mark", "changed"],
  ["network interface", "wg0", "left"],
  ["network interface", "vnet3", "left"],
  ["package installation", "2026-11-25 18:44:00 apt install htop", "left"],
  ["package installation", "2026-11-25 18:44:00 apt-get install zsh", "left"],
  ["package installation", "2026-11-25 18:44:00 apt-get install -y --no-install-recommends htop", "left"],
])("%s %s may be others'", (kind, name, word) => {
  expect(mayBeOthers({ kind, word, name }, places, before)).toBe(true);
});

test.each<[string, string]>([
  ["firewall rule", "iptables-save: *nat > -A POSTROUTING -o virbr0 -j MASQUERADE"],
  ["firewall rule", "iptables-save: *filter > :LIBVIRT_INP -"],
  ["firewall rule", 'nft: table ip filter > chain INPUT > iifname "tailscale0" accept'],
  ["network interface", "virbr9"],
  ["network interface", "pvms-up"],
  ["network interface", "tailscale0"],
  ["package installation", "2026-11-25 18:44:00 apt-get install --yes qemu-utils"],
  ...["zsh", "fish shellcheck", "dnsmasq-base", "iptables", "ovmf", "htop e2fsprogs", "mtools"].map(
    (names): [string, string] => [
      "package installation",
      `2026-11-25 18:44:00 apt-get install -y --no-install-recommends ${names}`,
    ],
  ),
  ["loop device", "/dev/loop0 of /var/lib/x"],
  ["process", "40: sleep"],
  ["systemd unit", "/run/systemd/transient/a.service"],
])("%s %s is the run's", (kind, name) => {
  expect(verdict(name, "left", kind)).toBe(false);
});

test("what packages have is others' where others may have installed some", () => {
  const files = ["/usr/bin/htop", "/etc/passwd", "/usr/bin/qemu-img", "/opt/x"];
  const verdicts = (hasInstalled: boolean) =>
    files.map((name) => mayBeOthers({ kind: "file", word: "left", name }, { ...places, hasInstalled }, before));
  expect(verdicts(false)).toEqual([false, false, false, false]);
  expect(verdicts(true)).toEqual([true, true, false, false]);
});

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
