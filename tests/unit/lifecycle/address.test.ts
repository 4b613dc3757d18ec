import { expect, test } from "vitest";
import { macAddress } from "../../../src/core/names.ts";
import type { NetworkXml, Reservation } from "../../../src/libvirt/libvirt-xml.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import {
  chooseAddress,
  type Lease,
  parseLeases,
  releaseAddress,
  reserveAddress,
} from "../../../src/lifecycle/address.ts";

const mac = macAddress("webapp");
const network = (found: Partial<NetworkXml> = {}): NetworkXml => ({
  name: "n",
  uuid: "u",
  cidr: "10.77.0.0/29",
  gateway: "10.77.0.1",
  ipv6: [],
  stp: false,
  reservations: [],
  ...found,
});
const reserved = (ip: string): Reservation => ({ mac: "52:54:00:00:00:01", ip, name: "other" });
const lease = (ip: string, of = "52:54:00:00:00:02", expiry = "2026-01-01 00:00:00"): Lease => ({
  mac: of,
  ip,
  expiry,
});

test.each<[string, Reservation[], Lease[], string]>([
  ["its lease", [], [lease("10.77.0.6", mac)], "10.77.0.6"],
  ["its newest lease", [], [lease("10.77.0.6", mac, "2026-01-02 00:00:00"), lease("10.77.0.5", mac)], "10.77.0.6"],
  [
    "the one that is left: not the network's own, not the host's, none that is reserved or in use",
    [reserved("10.77.0.2"), reserved("10.77.0.3")],
    [lease("10.77.0.5"), lease("10.77.0.6")],
    "10.77.0.4",
  ],
  [
    "another than its lease, which is reserved for somebody else",
    ["10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.5"].map(reserved),
    [lease("10.77.0.5", mac)],
    "10.77.0.6",
  ],
])("a VM gets %s", (_, reservations, leases, address) => {
  expect(chooseAddress("webapp", network({ reservations }), leases)).toBe(address);
});

test("VMs get different addresses, the same at each call, all in the network", () => {
  const wide = network({ cidr: "10.77.0.0/16" });
  const addresses = ["a", "b", "c"].map((name) => chooseAddress(name, wide, []));
  expect(new Set(addresses).size).toBe(3);
  expect(["a", "b", "c"].map((name) => chooseAddress(name, wide, []))).toEqual(addresses);
  for (const address of addresses) expect(address).toMatch(/^10\.77\.\d+\.\d+$/);
});

test.each([
  ["is full", network({ reservations: ["2", "3", "4", "5", "6"].map((last) => reserved(`10.77.0.${last}`)) })],
  ["has no IPv4", (({ cidr: _, ...rest }) => rest)(network())],
])("a network that %s is told of, with a remedy", (_, full) => {
  expect(() => chooseAddress("webapp", full, [])).toThrow(/no address left for webapp[\s\S]*write a shorter prefix/);
});

test("leases are read from what virsh prints", () => {
  const output = ` 2026-11-25 19:31:02   52:54:00:AA:bb:cc   ipv4       10.77.0.5/24         project-a   ff:b5:5e
 2026-11-25 19:31:02   52:54:00:aa:bb:cd   ipv6       fd00::5/64           x           01
 2026-11-25 19:32:02   52:54:00:aa:bb:ce   ipv4       10.77.0.6/24         -           -`;
  expect(parseLeases(output).map(({ mac, ip }) => `${mac} ${ip}`)).toEqual([
    "52:54:00:aa:bb:cc 10.77.0.5",
    "52:54:00:aa:bb:ce 10.77.0.6",
  ]);
});

/** A libvirt with one network, in which somebody else is faster a few times. */
function libvirt(dnsDomain: string, rivals: string[] = []) {
  const hosts: string[] = [];
  const changes: string[] = [];
  const virsh: Virsh = {
    uri: "qemu:///system",
    async run(verb, ...args) {
      if (verb === "net-list") return " n \n";
      if (verb === "net-dhcp-leases") return "";
      if (verb === "net-dumpxml") {
        return `<network><name>n</name><uuid>u</uuid><domain name="${dnsDomain}"/><ip address="10.77.0.1" prefix="24"><dhcp>${hosts.join("")}</dhcp></ip></network>`;
      }
      const [, how, , element = ""] = args;
      const rival = how === "add-last" ? rivals.pop() : undefined;
      if (rival !== undefined) {
        hosts.push(element.replace(/mac="[^"]*"/, `mac="${rival}"`).replace(/name="[^"]*"/, 'name="rival"'));
        throw new VirshError("x", ["net-update"], undefined, "there is an existing dhcp host entry");
      }
      changes.push([verb, ...args].join(" "));
      if (how === "add-last") hosts.push(element);
      return "";
    },
    runPrivately: () => Promise.reject(new Error("nothing here is secret")),
  };
  return { virsh, changes };
}

test("an address is reserved once, under the VM's name, also where others reserve theirs at the same time", async () => {
  const { virsh, changes } = libvirt("s.project-vms.internal", ["52:54:00:00:00:07", "52:54:00:00:00:08"]);
  const address = await reserveAddress(virsh, "n", "webapp");
  expect(await reserveAddress(virsh, "n", "webapp")).toBe(address);
  expect(changes).toEqual([
    `net-update n add-last ip-dhcp-host <host mac="${mac}" name="project-webapp" ip="${address}"/> --config --live`,
  ]);
});

test.each([
  ["goes away at that moment", ["gone"], 0],
  ["is slow to answer", ["there", "there"], 1],
])("an address is given back where the network %s", async (_, failures, changes) => {
  const ours = libvirt("s.project-vms.internal");
  await reserveAddress(ours.virsh, "n", "webapp");
  let gone = false;
  const virsh: Virsh = {
    ...ours.virsh,
    async run(verb, ...args) {
      if (gone && verb === "net-dumpxml") throw new VirshError("x", [verb], undefined, "no network");
      const failure = verb === "net-update" ? failures.pop() : undefined;
      gone = failure === "gone";
      if (failure) throw new VirshError("x", ["net-update"], undefined, "timed out");
      return ours.virsh.run(verb, ...args);
    },
  };
  await releaseAddress(virsh, "webapp");
  expect(ours.changes.slice(1)).toHaveLength(changes);
});

test("an address is given back in a network of ours, and nothing is changed in others", async () => {
  const ours = libvirt("s.project-vms.internal");
  const address = await reserveAddress(ours.virsh, "n", "webapp");
  await releaseAddress(ours.virsh, "webapp");
  expect(ours.changes.at(-1)).toContain(`net-update n delete ip-dhcp-host <host mac="${mac}"`);
  expect(ours.changes.at(-1)).toContain(address);
  const theirs = libvirt("lan");
  await reserveAddress(theirs.virsh, "n", "webapp");
  await releaseAddress(theirs.virsh, "webapp");
  expect(theirs.changes).toHaveLength(1);
});
