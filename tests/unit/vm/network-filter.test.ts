import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { filterUuid, macAddress } from "../../../config/names.ts";
import type { DomainFound, NetworkFound } from "../../../host/inventory.ts";
import type { Virsh } from "../../../host/virsh.ts";
import { filterXml } from "../../../vm/filter-xml.ts";
import { attachFilter, defineFilter, lacksFilter } from "../../../vm/network-filter.ts";
import { applyInPlace } from "../../../vm/settings.ts";
import { aDomain } from "../found.ts";

const mac = macAddress("webapp");
const network = (reservations: NetworkFound["reservations"]): NetworkFound => ({
  name: "project-vms",
  uuid: "u",
  active: true,
  autostart: true,
  ...(reservations ? { reservations } : {}),
});
const reserved = [{ mac, ip: "10.77.0.5", name: "project-webapp" }];

describe("whether a VM lacks a filter that holds", () => {
  const { filter: _, ...bare } = aDomain();
  const bridged: Pick<DomainFound, "filter" | "network"> = {};
  test.each([
    ["none", bare, ["project-webapp"], reserved, true],
    ["its own", aDomain(), ["project-webapp"], reserved, false],
    ["its own, which the host has lost", aDomain(), ["clean-traffic"], reserved, true],
    ["its own, for an address that is not reserved any more", aDomain(), ["project-webapp"], [], true],
    ["none, and is on no network of libvirt's", bridged, ["project-webapp"], reserved, false],
    ["one that its user chose", aDomain({ filter: "clean-traffic" }), ["clean-traffic"], [], false],
  ])("it has %s", (_, domain, filters, reservations, lacks) => {
    expect(lacksFilter("webapp", domain, { filters, networks: [network(reservations)] })).toBe(lacks);
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
function libvirt({ filter = "", state = "running", isEjected = false } = {}) {
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
        const target = args.includes("--inactive") ? "" : '<target dev="vnet0"/>';
        const nic = `<interface type="network"><mac address="${mac}"/><source network="n"/>${target}${filter}</interface>`;
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

  const nic = (target: string) =>
    `<interface type="network"><mac address="${mac}"/><source network="n"/>${target}<filterref filter="project-webapp"/></interface>`;
  test.each([
    ["runs", "running", [`--config ${nic("")}`, `--live ${nic('<target dev="vnet0"/>')}`]],
    ["is off", "shut off", [`--config ${nic("")}`]],
  ])("is put onto a VM that %s", async (_, state, edits) => {
    const { virsh, handed } = libvirt({ state });
    await attachFilter(virsh, "webapp");
    expect(handed).toEqual(edits.map((edit) => `update-device project-webapp ${edit}`));
  });

  test("is put into the definition of a VM whose guest has ejected its interface", async () => {
    const { virsh, handed } = libvirt({ isEjected: true });
    const same = { disk: 0, rootDisk: 0, autostart: false, keepData: true, filter: { rules: "r" } };
    await applyInPlace(virsh, "webapp", same, () => undefined, false).catch(() => undefined);
    expect(handed.filter((one) => one.startsWith("update-device"))).toEqual([
      `update-device project-webapp --config ${nic("")}`,
    ]);
  });

  test("is not put onto a VM that has one", async () => {
    const { virsh, handed } = libvirt({ filter: '<filterref filter="clean-traffic"/>' });
    await attachFilter(virsh, "webapp");
    expect(handed).toEqual([]);
  });
});
