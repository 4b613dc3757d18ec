import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { leftOpen } from "../../../src/embedded-host/embedded-uplink.ts";

const functions = readFileSync("src/embedded-host/embedded-uplink.sh", "utf8").replace(/^main "\$@"$/m, "");

/** How closing this machine's addresses ends, and which were closed, with an `ip` of the test's own here and there. */
async function close(ip: string, there = "echo") {
  const script = `${functions}\nip() { ${ip}\n}\nthere() { ${there} "$@"\n}\nclose_machine`;
  const { exitCode, stdout } = await execa("sh", ["-c", script], { reject: false });
  return { exitCode, closed: [...stdout.matchAll(/unreachable (\S+)/g)].map(([, range]) => range) };
}

const local = "local 127.0.0.1 dev lo\nlocal 203.0.113.7 dev eth0\nlocal 192.168.1.2 dev eth1";
const addresses = [
  "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever",
  "2: eth0    inet 203.0.113.7/24 brd 203.0.113.255 scope global eth0\\       valid_lft forever preferred_lft forever",
  "3: eth1    inet 192.168.1.2/24 brd 192.168.1.255 scope global noprefixroute eth1\\       valid_lft forever",
].join("\n");
const withAddress = (address: string) =>
  `case $* in *local*) echo 'local 127.0.0.1 dev lo' ;; *address*) echo '2: eth0    inet ${address} scope global eth0' ;; esac`;

test("this machine's addresses and networks are closed, but for what is closed anyway", async () => {
  const ip = `case $* in *local*) echo '${local}' ;; *address*) echo '${addresses}' ;; esac`;
  expect(await close(ip)).toEqual({ exitCode: 0, closed: ["203.0.113.0/24", "203.0.113.7"] });
  expect(await close(`case $* in *local*) echo 'local 127.0.0.1 dev lo' ;; esac`)).toEqual({ exitCode: 0, closed: [] });
});

test.each([
  // As wg-quick puts them up for "all but private networks": they are no networks that the machine stands in.
  ["routes that a VPN adds", "ip -4 route add 128.0.0.0/1 dev lo", []],
  [
    "an address whose route is not the kernel's",
    "ip -4 address add 198.51.100.9/24 dev lo noprefixroute",
    ["198.51.100.0/24", "198.51.100.255", "198.51.100.9"],
  ],
  ["the far end of a link", "ip -4 address add 203.0.113.7 peer 203.0.114.9/32 dev lo", ["203.0.113.7", "203.0.114.9"]],
])("with %s, on a machine of its own", async (_, change, closed) => {
  const script = `ip link set lo up && ${change} && eval "$1" && there() { echo "$@"; } && close_machine`;
  const { stdout } = await execa("unshare", ["--net", "sh", "-c", script, "sh", functions]);
  expect([...stdout.matchAll(/unreachable (\S+)/g)].map(([, range]) => range)).toEqual(closed);
});

test.each([
  ["within what is closed anyway", "10.77.0.1/25", []],
  ["that reaches beyond it", "192.168.200.1/15", ["192.168.0.0/15"]],
  ["that holds what is closed anyway", "100.64.0.1/8", ["100.0.0.0/8"]],
  ["of odd width", "172.15.255.1/11", ["172.0.0.0/11"]],
  ["wider than /8", "10.1.2.3/7", []],
])("a network %s is closed as it has to be", async (_, address, closed) => {
  expect(await close(withAddress(address))).toEqual({ exitCode: 0, closed });
});

test("a network that is too wide to be closed is reported", async () => {
  const doubles = `ip() { case $* in *monitor*) exec sleep 5 ;; esac; ${withAddress("10.1.2.3/7")}\n}\nthere() { :; }\nclose_private() { :; }\nconnect() { exec sleep 1; }`;
  const { stdout } = await execa("setsid", ["--wait", "sh", "-c", `${functions}\n${doubles}\nmain /nowhere`], {
    reject: false,
  });
  expect(stdout.split("\n").slice(0, 2)).toEqual(["uplink: left open: 10.0.0.0/7", "uplink: up"]);
  expect(leftOpen(stdout)).toEqual(["10.0.0.0/7"]);
});

test("its QEMU runs as the user that it is given, and as no other", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "uplink-script-"));
  try {
    writeFileSync(path.join(dir, "nsenter"), '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
    const doubles = `ip() { case $* in *monitor*) exec sleep 5 ;; esac\n}\nthere() { :; }\nclose_private() { :; }\nset_up() { wait "$link"; }`;
    const words = ["--wait", "sh", "-c", `${functions}\n${doubles}\nPATH='${dir}':$PATH\nmain /nowhere 65523`];
    const { stdout } = await execa("setsid", words, { reject: false });
    expect(stdout.match(/^--re[ug]id=.*$/gm)).toEqual(["--reuid=65523", "--regid=65523"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.each([
  ["its own addresses are not known", "case $* in *local*) return 1 ;; esac", undefined],
  ["there seem to be none", "true", undefined],
  ["its networks are not known", `case $* in *local*) echo '${local}' ;; *) return 1 ;; esac`, undefined],
  ["one cannot be closed", `echo '${local}'`, "false"],
])("where %s, that fails, and there is no way out", async (_, ip, there) => {
  expect(await close(ip, there)).toEqual({ exitCode: 1, closed: [] });
});
