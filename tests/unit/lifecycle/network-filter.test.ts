import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { filterUuid, macAddress } from "../../../src/core/names.ts";
import type { DomainDevices, NicDevice } from "../../../src/libvirt/domain-devices.ts";
import type { NetworkFound } from "../../../src/libvirt/inventory.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { filterXml } from "../../../src/lifecycle/filter-xml.ts";
import { applyInPlace } from "../../../src/lifecycle/in-place-settings.ts";
import {
  attachFilter,
  bareInterfaces,
  defineFilter,
  lacksFilter,
  strayInterfaces,
} from "../../../src/lifecycle/network-filter.ts";

const mac = macAddress("webapp");
const network = (reservations: NetworkFound["reservations"]): NetworkFound => ({
  name: "project-vms",
  uuid: "u",
  active: true,
  autostart: true,
  dnsDomain: "storage.project-vms.internal",
  bridge: "virbr7",
  ...(reservations ? { reservations } : {}),
});
const others = "52:54:00:00:00:99";
const nic = (more: Partial<NicDevice> = {}): NicDevice => ({ mac, type: "network", on: "project-vms", ...more });
const view = (...nics: NicDevice[]): DomainDevices => ({ disks: [], nics, others: [] });
const reserved = [{ mac, ip: "10.77.0.5", name: "project-webapp" }];

describe("whether a VM lacks a filter that holds", () => {
  const own = view(nic({ filter: "project-webapp" }));
  const bare = view(nic());
  const chosen = view(nic({ filter: "clean-traffic" }));
  const bridged = view(nic({ type: "bridge", on: "br0" }));
  test.each([
    ["none", [bare], ["project-webapp"], reserved, true],
    ["its own", [own, own], ["project-webapp"], reserved, false],
    ["its own while it runs, and none in its definition", [own, bare], ["project-webapp"], reserved, true],
    ["none while it runs, and its own in its definition", [bare, own], ["project-webapp"], reserved, true],
    ["its own in its definition, its guest ejected it", [view(), own], ["project-webapp"], reserved, false],
    ["none, behind another interface", [view(nic({ mac: others, on: "lan" }), nic())], [], reserved, true],
    ["its own, which the host has lost", [own], ["clean-traffic"], reserved, true],
    ["its own, for an address that is not reserved any more", [own], ["project-webapp"], [], true],
    ["none, and is on no network of libvirt's", [bridged], ["project-webapp"], reserved, false],
    ["none, under another MAC address, where it could not get one", [view(nic({ mac: others }))], [], reserved, false],
    ["one that its user chose", [chosen], ["clean-traffic"], [], false],
  ])("it has %s", (_, devices, filters, reservations, lacks) => {
    expect(lacksFilter("webapp", { devices }, { filters, networks: [network(reservations)] })).toBe(lacks);
  });
});

describe("an interface on a network of ours that no filter holds", () => {
  const place = { uri: "qemu:///system", project: "webapp", stack: "storage" };
  const own = nic({ filter: "project-webapp" });
  const stray = nic({ mac: others });
  const lan: NetworkFound = { name: "lan", uuid: "l", active: true, autostart: true };
  const networks = [network(reserved), lan];
  const detach = (type: string, ...where: string[]) =>
    `virsh -c 'qemu:///system' detach-interface project-webapp ${type} --mac ${others} ${where.join(" ")}`;
  const found = (...devices: DomainDevices[]) => strayInterfaces({ devices }, networks, place);

  test("is reported in full: domain, interface, network and remedy", () => {
    expect(found(view(own, stray), view(own, stray))).toEqual([
      {
        path: "project-webapp",
        rule: `must have no interface on project-vms that no network filter holds, but has ${others}: by it the guest can take other VMs' addresses`,
        remedy: `detach it: ${detach("network", "--live", "--config")}`,
      },
    ]);
  });

  test.each([
    ["of a VM that is off", [view(own, stray)], detach("network", "--config")],
    ["while it runs alone", [view(own, stray), view(own)], detach("network", "--live")],
    ["after its next start alone", [view(own), view(own, stray)], detach("network", "--config")],
    [
      "straight on the network's bridge",
      [view(own, nic({ mac: others, type: "bridge", on: "virbr7" }))],
      detach("bridge", "--config"),
    ],
    [
      "the VM's only one, whose MAC address was changed",
      [view(stray)],
      `${detach("network", "--config")}; a VM that has none left gets its own again, by a restart: project-vm apply --stack storage`,
    ],
  ])("is to be detached: %s", (_, views, command) => {
    expect(found(...views).map(({ remedy }) => remedy)).toEqual([`detach it: ${command}`]);
  });

  test.each([
    ["one with a filter that its user chose", nic({ mac: others, filter: "clean-traffic" })],
    ["one on a network of the user's own", nic({ mac: others, on: "lan" })],
    ["the VM's own, which gets its filter", nic()],
  ])("is none: %s", (_, one) => expect(found(view(own, one))).toEqual([]));

  test("is one of another's domain as well, whatever its MAC address is", () => {
    expect(bareInterfaces([view(nic())], networks)).toEqual([{ ...nic(), network: "project-vms" }]);
    expect(bareInterfaces([view(nic({ filter: "clean-traffic" }))], networks)).toEqual([]);
  });
});

describe("the rules of a filter", () => {
  const rules = (ipv6: string[]) =>
    [...filterXml({ project: "webapp", address: "10.77.0.5", ipv6 }).matchAll(/<rule [^>]*>.*?<\/rule>/g)].map(String);

  test.each([[[]], [["fd00:77::1/64"]]])(
    "are in a certain order, and end with all being dropped, both ways (IPv6: %j)",
    (ipv6) => {
      const all = rules(ipv6);
      const priorities = all.map((rule) => Number(/priority="(\d+)"/.exec(rule)?.[1]));
      expect(priorities).toEqual(priorities.map((_, i) => 100 + i));
      for (const direction of ["in", "out"]) {
        const last = all.findLast((rule) => rule.includes(`direction="${direction}"`));
        expect(last).toMatch(/action="drop".*<mac\/>/);
      }
    },
  );

  test("let no answer to a DHCP client out, whatever port it comes from", () => {
    const all = rules([]).filter((rule) => rule.includes('direction="out"') && rule.includes("<ip "));
    const dropped = all
      .slice(
        0,
        all.findIndex((rule) => rule.includes("accept")),
      )
      .join("\n");
    for (const what of ['srcportstart="67"', 'dstportstart="68"']) expect(dropped).toContain(what);
  });

  test("let a VM probe for its own address, and for no other's", () => {
    const probes = rules([]).filter((rule) => rule.includes('arpsrcipaddr="0.0.0.0"'));
    expect(probes).toEqual([expect.stringMatching(/accept.*arpdstipaddr="10\.77\.0\.5" opcode="Request"/)]);
  });

  test("let nothing through that is of IPv6 where the network has none", () => {
    expect(rules([]).filter((rule) => rule.includes("ipv6"))).toEqual([]);
  });

  test("let IPv6 through where the network has it, but not as a router and not from the host's address", () => {
    const all = rules(["fd00:77::1/64"]).filter((rule) => rule.includes("ipv6"));
    const firstAccepted = all.findIndex((rule) => rule.includes("accept"));
    const dropped = all.slice(0, firstAccepted).join("\n");
    for (const what of [
      'type="134"',
      'type="137"',
      'srcportstart="547"',
      'dstportstart="546"',
      'srcipaddr="fd00:77::1" srcipmask="128"',
    ]) {
      expect(dropped).toContain(what);
    }
  });
});

/** A libvirt with one domain, that remembers which XML it was handed, and for what. */
function libvirt({ filter = "", state = "running", isEjected = false, inDefinition = {} } = {}) {
  const handed: string[] = [];
  const virsh: Virsh = {
    uri: "qemu:///system",
    async run(verb, ...args) {
      if (verb === "domstate") return state;
      if (verb === "list" || verb === "vol-dumpxml") return "";
      if (verb === "net-dumpxml") {
        return `<network><name>n</name><uuid>u</uuid><ip address="10.77.0.1" prefix="24"><dhcp><host mac="${mac}" ip="10.77.0.5"/></dhcp></ip></network>`;
      }
      if (verb === "dumpxml") {
        const isInactive = args.includes("--inactive");
        const target = isInactive ? "" : '<target dev="vnet0"/>';
        const has = { filter, mac, ...(isInactive ? inDefinition : {}) };
        const nic = `<interface type="network"><mac address="${has.mac}"/><source network="n"/>${target}${has.filter}</interface>`;
        const devices = isEjected && target ? "" : nic;
        return `<domain><name>x</name><uuid>u</uuid><memory>1</memory><vcpu>1</vcpu><devices>${devices}</devices></domain>`;
      }
      const file = args.find((arg) => arg.endsWith(".xml")) ?? "";
      handed.push([verb, ...args.filter((arg) => arg !== file), readFileSync(file, "utf8")].join(" "));
      return "";
    },
    runPrivately: () => Promise.reject(new Error("nothing here is secret")),
  };
  return { virsh, handed };
}

describe("a filter", () => {
  test("is defined for the address that is reserved, under the same UUID each time", async () => {
    const { virsh, handed } = libvirt();
    await defineFilter(virsh, "webapp", "n");
    expect(handed).toHaveLength(1);
    expect(handed[0]).toContain(
      `nwfilter-define <filter name="project-webapp" chain="root"><uuid>${filterUuid("webapp")}`,
    );
    expect(handed[0]).toContain('srcipaddr="10.77.0.5"');
  });

  const element = (target: string) =>
    `<interface type="network"><mac address="${mac}"/><source network="n"/>${target}<filterref filter="project-webapp"/></interface>`;
  test.each([
    ["runs", "running", [`--config ${element("")}`, `--live ${element('<target dev="vnet0"/>')}`]],
    ["is off", "shut off", [`--config ${element("")}`]],
  ])("is put onto a VM that %s", async (_, state, edits) => {
    const { virsh, handed } = libvirt({ state });
    await attachFilter(virsh, "webapp");
    expect(handed).toEqual(edits.map((edit) => `update-device project-webapp ${edit}`));
  });

  const apply = { disk: 0, rootDisk: 0, autostart: false, keepData: true, filter: { rules: "r" } };
  const applied = async (libvirt: { virsh: Virsh; handed: string[] }) => {
    const log: string[] = [];
    // It ends where its disks are to grow: there are none.
    await applyInPlace(libvirt.virsh, "webapp", apply, (line) => log.push(line), false).catch(() => undefined);
    return { log, edits: libvirt.handed.filter((one) => one.startsWith("update-device")) };
  };

  test("is put into the definition of a VM whose guest has ejected its interface", async () => {
    const { virsh, handed } = libvirt({ isEjected: true });
    const { edits } = await applied({ virsh, handed });
    expect(edits).toEqual([`update-device project-webapp --config ${element("")}`]);
  });

  test("is put back into the definition of a VM that runs with it", async () => {
    const filter = '<filterref filter="project-webapp"/>';
    const { edits } = await applied(libvirt({ filter, inDefinition: { filter: "" } }));
    expect(edits).toEqual([`update-device project-webapp --config ${element("")}`]);
  });

  test("that its user chose is kept, and the other view of its interface gets ours", async () => {
    const filter = '<filterref filter="clean-traffic"/>';
    const says = "webapp: has the network filter clean-traffic, which somebody else put there, and keeps it";
    expect(await applied(libvirt({ filter }))).toEqual({ log: [says], edits: [] });
    expect(await applied(libvirt({ filter, inDefinition: { filter: "" } }))).toEqual({
      log: [says],
      edits: [`update-device project-webapp --config ${element("")}`],
    });
  });

  test("has no place in a definition whose interface has another MAC address, and that is an error", async () => {
    const { virsh, handed } = libvirt({ inDefinition: { filter: "", mac: others } });
    await expect(attachFilter(virsh, "webapp")).rejects.toThrow(
      [
        "webapp was changed by other means than this program, and nothing more is done to it.",
        `  - project-webapp: must have an interface with the MAC address ${mac} in its definition, for its network filter`,
        "    see what is wrong with it, and what mends it: project-vm doctor",
      ].join("\n"),
    );
    expect(handed).toEqual([]);
  });

  test("is not put onto a VM that has one", async () => {
    const { virsh, handed } = libvirt({ filter: '<filterref filter="clean-traffic"/>' });
    await attachFilter(virsh, "webapp");
    expect(handed).toEqual([]);
  });
});
