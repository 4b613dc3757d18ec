import { expect, test } from "vitest";
import { domainWithoutBalloon, interfaceWithFilter, networkWithoutStp } from "../../../src/libvirt/edited-xml.ts";
import { parseNetwork } from "../../../src/libvirt/libvirt-xml.ts";

const nic = (mac: string, more = "") =>
  `<interface type="network"><mac address="${mac}"/><source network="a&amp;b"/>${more}</interface>`;
const domain = (...nics: string[]) => `<domain type='qemu'><name>x</name><devices>${nics.join("")}</devices></domain>`;

test.each([
  ["the only one", domain(nic("52:54:00:AA:00:01")), ""],
  ["the second one", domain(nic("52:54:00:00:00:09"), nic("52:54:00:AA:00:01")), ""],
  [
    "one that its user limited, and that runs",
    domain(nic("52:54:00:AA:00:01", '<target dev="vnet0"/><bandwidth><inbound average="100"/></bandwidth>')),
    '<target dev="vnet0"/><bandwidth><inbound average="100"/></bandwidth>',
  ],
])("an interface gets a filter and keeps all else: %s", (_, xml, more) => {
  expect(interfaceWithFilter(xml, "52:54:00:aa:00:01", "project-a")).toBe(
    nic("52:54:00:AA:00:01", `${more}<filterref filter="project-a"/>`),
  );
});

test.each([
  ["another's", domain(nic("52:54:00:00:00:09"))],
  ["none", domain()],
])("there is none to get a filter where its interface is %s", (_, xml) => {
  expect(interfaceWithFilter(xml, "52:54:00:aa:00:01", "project-a")).toBeUndefined();
});

test("a network leaves the spanning tree and keeps all else", () => {
  const xml = (stp: string) =>
    `<network><name>n</name><uuid>u</uuid><bridge name="virbr0" stp="${stp}" delay="0"/><ip address="10.77.0.1" prefix="24"><dhcp><range start="10.77.0.2" end="10.77.0.9"/><host mac="52:54:00:aa:00:01" ip="10.77.0.7"/><host mac="52:54:00:aa:00:02" ip="10.77.0.8"/></dhcp></ip></network>`;
  expect(networkWithoutStp(xml("on"))).toBe(xml("off"));
  expect(parseNetwork(networkWithoutStp(xml("on")))).toMatchObject({ stp: false, cidr: "10.77.0.0/24" });
});

test("a domain loses its memory balloon and keeps all else, in its order: what others noted, and blanks", () => {
  const xml = (balloon: string, after = "") =>
    `<domain type="qemu"><name>x</name><title> a &amp; b </title><metadata><o:own xmlns:o="urn:o" a="x&#10;y &#x9;&#13;z">t&#xD;<!-- c --></o:own></metadata><devices>
    <disk type="file"><source file=" /vms/a&quot;.qcow2"/></disk><rng model="virtio"/>${balloon}<disk type="block"/>${after}</devices></domain>`;
  const none = '<memballoon model="none"/>';
  const virtio = '<memballoon model="virtio"><address type="pci" slot="0x07"/></memballoon>';
  expect(domainWithoutBalloon(xml(virtio))).toBe(xml("", none));
  expect(domainWithoutBalloon(xml("", none))).toBe(xml("", none));
  expect(() => domainWithoutBalloon("<network/>")).toThrow("not the XML of a libvirt domain");
});
