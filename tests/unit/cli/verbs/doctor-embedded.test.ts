import { beforeEach, expect, test, vi } from "vitest";
import * as servers from "../../../../src/embedded-host/embedded-servers.ts";
import * as uplink from "../../../../src/embedded-host/embedded-uplink.ts";
import { userIdOf } from "../../../../src/embedded-host/embedded-users.ts";
import { wantsUplink } from "../../../../src/embedded-host/uplink-setting.ts";
import { embeddedHostFor } from "../../../../src/libvirt/embedded-layout.ts";
import { examineEmbeddedHost } from "../../../../src/operations/doctor/embedded.ts";

vi.mock("../../../../src/embedded-host/embedded-servers.ts");
vi.mock("../../../../src/embedded-host/embedded-uplink.ts");
vi.mock("../../../../src/embedded-host/embedded-users.ts");
vi.mock("../../../../src/embedded-host/uplink-setting.ts");

const root = "/home/me/vms";
const examined = (uri = embeddedHostFor(root).uri) =>
  examineEmbeddedHost(root, uri, () => {}).map(({ level, check, says, fix }) => `${level} ${check}: ${says} (${fix})`);

beforeEach(() => {
  vi.mocked(wantsUplink).mockReturnValue(true);
  vi.mocked(uplink.isUplinkToChange).mockReturnValue(false);
  vi.mocked(uplink.uplinkUser).mockReturnValue(65_521);
  vi.mocked(userIdOf).mockImplementation((_, program) => (program === "uplink" ? 65_521 : 65_520));
  vi.mocked(servers.endedServers).mockReturnValue([]);
  vi.mocked(servers.serverUsers).mockReturnValue([{ network: "project-vms", user: 65_520 }]);
});

const wayOut = "ok way out: is up (none)";
const dns = "ok DNS and DHCP: the servers of all networks are up (none)";

test("of a host elsewhere none of this is looked at", () => {
  expect(examined("qemu:///system")).toEqual([]);
});

test("an embedded host in order", () => {
  expect(examined()).toEqual([wayOut, dns]);
});

test("a way out that has ended, or is open though it should not be, is told and mended", () => {
  vi.mocked(uplink.isUplinkToChange).mockReturnValue(true);
  vi.mocked(uplink.uplinkUser).mockReturnValue(undefined);
  expect(examined()).toEqual(["failure way out: has ended: the VMs reach nothing outside (possible)", dns]);
  vi.mocked(wantsUplink).mockReturnValue(false);
  expect(examined()[0]).toBe("warning way out: is open, though the config says `uplink: false` (possible)");
});

test("none, where there is to be none or can be none, is in order", () => {
  vi.mocked(uplink.uplinkUser).mockReturnValue(undefined);
  expect(examined()[0]).toBe("ok way out: none: this machine has no default route, or no /dev/net/tun (none)");
  vi.mocked(wantsUplink).mockReturnValue(false);
  expect(examined()[0]).toBe("ok way out: none, as `uplink: false` says (none)");
});

test("a network's server that has ended is told and mended", () => {
  vi.mocked(servers.endedServers).mockReturnValue(["project-vms"]);
  vi.mocked(servers.serverUsers).mockReturnValue([]);
  expect(examined()).toEqual([
    wayOut,
    "failure DNS and DHCP: the server of project-vms (dnsmasq) has ended: VMs on it get no address and find no name (possible)",
  ]);
});

test("what an earlier version started as a user that others are, too, is told", () => {
  vi.mocked(userIdOf).mockReturnValue(undefined);
  vi.mocked(uplink.uplinkUser).mockReturnValue(65_534);
  vi.mocked(servers.serverUsers).mockReturnValue([{ network: "project-vms", user: 65_534 }]);
  const shared = "another process of that user can change what it says, and end it (none)";
  expect(examined()).toEqual([
    `warning way out: the way out runs as user 65534, not as one of its own: ${shared}`,
    `warning DNS and DHCP: the server of project-vms (dnsmasq) runs as user 65534, not as one of its own: ${shared}`,
  ]);
});
