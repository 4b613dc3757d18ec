import { describe, expect, test } from "vitest";
import {
  isGuestAddress,
  isHostKey,
  isNameFor,
  isNodeId,
  isNodeKey,
  isTailnetAddress,
  isTailnetName,
} from "../../../src/core/guest-values.ts";
import type { SshTarget } from "../../../src/guest/ssh-target.ts";
import { markTailnet } from "../../../src/libvirt/marks.ts";
import type { TailnetDevices } from "../../../src/tailnet/device.ts";
import { removeVmDevice } from "../../../src/tailnet/devices.ts";
import { aHostKey, anEcdsaKey, keyText } from "../guest/samples.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";

const bytes = (count: number) => Buffer.alloc(count, 7);

test.each<[string, boolean]>([
  ["10.77.0.5", true],
  ["192.168.122.9", true],
  ["fd00::5", true],
  ["2001:db8::7", true],
  ["127.0.0.1", false],
  ["0.0.0.0", false],
  ["169.254.169.254", false],
  ["224.0.0.1", false],
  ["255.255.255.255", false],
  ["::1", false],
  ["::", false],
  ["::ffff:10.77.0.5", false],
  ["::10.77.0.5", false],
  ["64:ff9b::a4d:5", false],
  ["fe80::1", false],
  ["fe80::1%eth0", false],
  ["fd00::5%eth0", false],
  ["ff02::1", false],
  ["010.77.0.5", false],
  ["10.77.5", false],
  ["0x0a.77.0.5", false],
  ["10.77.0.5 ", false],
  ["10.77.0.5\n", false],
])("%j is where a guest can be: %s", (text, expected) => expect(isGuestAddress(text)).toBe(expected));

describe("a host key", () => {
  const [, base64 = ""] = aHostKey().split(" ");
  test.each<[string, string, boolean]>([
    ["of ed25519", aHostKey(), true],
    ["of ecdsa", anEcdsaKey(), true],
    ["of RSA", keyText("ssh-rsa", bytes(3), bytes(257)), true],
    ["with a comment", `${aHostKey()} root@a`, false],
    ["with an option", `no-pty ${aHostKey()}`, false],
    ["with a marker", `@cert-authority ${aHostKey()}`, false],
    ["with a break", `${aHostKey()}\n`, false],
    ["with two blanks", aHostKey().replace(" ", "  "), false],
    ["of a type that its blob does not name", `ssh-rsa ${base64}`, false],
    ["of another type", keyText("ssh-dss", bytes(20)), false],
    ["that is a certificate", keyText("ssh-ed25519-cert-v01@openssh.com", bytes(32)), false],
    ["that is too short", keyText("ssh-ed25519", bytes(31)), false],
    ["with more behind it", keyText("ssh-ed25519", bytes(32), bytes(1)), false],
    ["of another curve than its name", keyText("ecdsa-sha2-nistp256", "nistp384", bytes(65)), false],
    ["of RSA with few bits", keyText("ssh-rsa", bytes(3), bytes(64)), false],
    ["in base64 of URLs", `ssh-ed25519 ${base64.replaceAll("/", "_").replaceAll("B", "-")}`, false],
    ["with bits that base64 leaves over", anEcdsaKey().replace(/.=$/, "/="), false],
    ["that is empty", "ssh-ed25519 ", false],
    ["of a name of JavaScript's", "constructor AAAA", false],
  ])("%s: %s is %s", (_, key, expected) => expect(isHostKey(key)).toBe(expected));
});

test.each<[string, string | undefined, boolean]>([
  ["project-web.tail1.ts.net", "tail1.ts.net", true],
  ["project-web-1.tail1.ts.net", "tail1.ts.net", true],
  ["project-web-x7k2m1ab.tail1.ts.net", "tail1.ts.net", true],
  ["project-web.other.example", undefined, true],
  ["project-web.other.example", "tail1.ts.net", false],
  ["project-web.tail1.ts.net.evil.example", "tail1.ts.net", false],
  ["project-website.tail1.ts.net", "tail1.ts.net", false],
  ["project-web-api.tail1.ts.net", "tail1.ts.net", false],
  ["project-db.tail1.ts.net", "tail1.ts.net", false],
  ["*.tail1.ts.net", "tail1.ts.net", false],
  ["project-web", undefined, true],
  ["project-web.tail1.ts.net\nHost *", undefined, false],
  ["project-web.tail1.ts.net *", undefined, false],
  ["project-web..net", undefined, false],
  ["Project-Web.tail1.ts.net", undefined, false],
  [`project-web.${"a.".repeat(130)}net`, undefined, false],
])("%j in %s is a name of web's: %s", (name, domain, expected) => {
  expect(isTailnetName(name, "web", domain)).toBe(expected);
});

test("what a tailnet appends to a name is not a name of its own, where it can be told", () => {
  expect(
    ["project-web", "project-web-12", "project-web-123456", "project-web-a", "project-web2"].map((name) =>
      isNameFor(name, "project-web"),
    ),
  ).toEqual([true, true, false, false, false]);
});

test("IDs, keys and addresses of a tailnet", () => {
  expect(["1", "n292kg92CNTRL", "", "-1", "../1", "n1\n", "n".repeat(65)].map(isNodeId)).toEqual([
    true,
    true,
    ...Array(5).fill(false),
  ]);
  const key = `nodekey:${"0f".repeat(32)}`;
  expect([key, key.toUpperCase(), `${key}0`, `${key}\n`, key.slice(8)].map(isNodeKey)).toEqual([
    true,
    ...Array(4).fill(false),
  ]);
  expect(
    ["100.64.0.1", "fd7a:115c:a1e0::1", "10.77.0.5", "100.128.0.1", "fd00::1", "::ffff:100.64.0.1"].map(
      isTailnetAddress,
    ),
  ).toEqual([true, true, ...Array(4).fill(false)]);
});

test("an address that no tailnet gives to a device is none of a VM's", () => {
  expect(["100.100.100.100", "100.115.92.0", "100.115.93.255", "fd7a:115c:a1e0::53"].filter(isTailnetAddress)).toEqual(
    [],
  );
  expect(["100.100.100.99", "100.115.91.255", "100.115.94.0", "fd7a:115c:a1e0::54"].every(isTailnetAddress)).toBe(true);
});

test("an unchecked text is no value of SSH's files, of a mark, or of what is removed: the compiler refuses it", () => {
  // @ts-expect-error an address that nobody has checked
  const target: SshTarget = { name: "web", addresses: ["10.77.0.5"], hostKeys: [] };
  // @ts-expect-error a host key that nobody has checked
  const pinned: SshTarget = { name: "web", addresses: [], hostKeys: ["ssh-ed25519 AAAA"] };
  // @ts-expect-error a name that nobody has checked
  const named: SshTarget = { name: "web", addresses: [], hostKeys: [], tailnetName: "project-web.evil" };
  // @ts-expect-error an ID and a key that nobody has checked
  const marking = () => markTailnet(new FakeVirsh(), "project-web", { id: "1", nodeKey: "nodekey:1" });
  const devices = {} as TailnetDevices;
  // @ts-expect-error an ID that nobody has checked
  const removing = () => removeVmDevice(devices, { hostname: "project-web", tag: "tag:project-vm", id: "1" });
  expect([target, pinned, named, marking, removing]).toHaveLength(5);
});
