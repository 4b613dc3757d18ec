import { describe, expect, test } from "vitest";
import type { GuestAddress } from "../../../src/core/guest-values.ts";
import { macAddress } from "../../../src/core/names.ts";
import { Guest } from "../../../src/guest/guest.ts";
import { type GuestNetwork, givenBy } from "../../../src/guest/guest-network.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";

const mac = macAddress("app");
const another = macAddress("other");
const network = (change: Partial<GuestNetwork> = {}): GuestNetwork => ({
  ranges: ["10.77.0.1/24", "fd00:77::1/64"],
  reservations: [],
  leases: [],
  ...change,
});
const lease = (of: string, address: string) => ({ mac: of, address: address as GuestAddress });

describe("of the addresses that a guest tells", () => {
  test.each<[string, GuestNetwork | undefined, string[], string[]]>([
    ["all, on no network of libvirt's", undefined, ["192.0.2.7"], ["192.0.2.7"]],
    ["all, on a network without ranges", network({ ranges: [] }), ["192.0.2.7"], ["192.0.2.7"]],
    [
      "those of its ranges",
      network(),
      ["10.77.0.5", "10.78.0.5", "fd00:77::5", "fd00:78::5"],
      ["10.77.0.5", "fd00:77::5"],
    ],
    ["none of the host's own", network(), ["10.77.0.1", "fd00:77:0::0:1"], []],
    ["none that is leased to another", network({ leases: [lease(another, "10.77.0.5")] }), ["10.77.0.5"], []],
    [
      "one that is leased to it",
      network({ leases: [lease(mac.toUpperCase(), "10.77.0.5")] }),
      ["10.77.0.5"],
      ["10.77.0.5"],
    ],
    [
      "none of another's, however it is written",
      network({ leases: [lease(another, "fd00:77::a")] }),
      ["fd00:77:0:0::A"],
      [],
    ],
    [
      "none that is reserved for another",
      network({ reservations: [{ mac: another, ip: "10.77.0.5" }] }),
      ["10.77.0.5"],
      [],
    ],
    [
      "any, where only its name is reserved",
      network({ reservations: [{ mac, ip: "" }] }),
      ["10.77.0.5"],
      ["10.77.0.5"],
    ],
    [
      "only the one that is reserved for it, of that family",
      network({ reservations: [{ mac, ip: "10.77.0.5" }] }),
      ["10.77.0.6", "10.77.0.5", "fd00:77::5"],
      ["10.77.0.5", "fd00:77::5"],
    ],
  ])("%s", (_, on, told, given) => {
    expect(givenBy(on, "app", told as GuestAddress[])).toEqual(given);
  });
});

/** A libvirt with a VM that is defined on a network of ours, and whose guest has ejected its interface. */
function hostOfEjected(told: string[]): Virsh {
  const nic = "<interface type='network'><source network='project-vms'/></interface>";
  const run = async (...[verb, , request = ""]: string[]) => {
    switch (verb) {
      case "qemu-agent-command":
        return JSON.stringify({
          return: [{ "hardware-address": mac, "ip-addresses": told.map((one) => ({ "ip-address": one })) }],
        });
      case "dumpxml":
        return `<domain><name>project-app</name><devices>${request === "--inactive" ? nic : ""}</devices></domain>`;
      case "net-dumpxml":
        return `<network><name>project-vms</name><ip address='10.77.0.1' netmask='255.255.255.0'><dhcp><host mac='${mac}' ip='10.77.0.5'/></dhcp></ip></network>`;
      default:
        return "";
    }
  };
  return { uri: "qemu:///system", run, runPrivately: run } as Virsh;
}

test("a guest that has ejected its interface is still reached at its own address alone", async () => {
  const guest = new Guest(hostOfEjected(["203.0.113.66", "10.77.0.9", "10.77.0.5"]), "app");
  expect(await guest.addresses()).toEqual(["10.77.0.5"]);
});
