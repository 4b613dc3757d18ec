import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  domainXslt,
  type Marks,
  standingAlone,
  withFilter,
  withMarks,
  withoutBalloon,
} from "../../../components/domain-xslt.ts";
import { elementsMade } from "../../../components/stylesheet.ts";
import { parseDomain } from "../../../src/libvirt/libvirt-xml.ts";
import { hostileTexts } from "../guest/hostile-values.ts";
import { aNode } from "../guest/samples.ts";
import { applyXslt } from "./apply-xslt.ts";

const details = {
  uuid: "3b241101-e2bb-8255-8caf-4136c566a962",
  disks: [{ target: "vda", file: "/vms/app/disk.qcow2", format: "qcow2" as const, serial: "root-1" }],
  consoleLog: "/vms/app/console.log",
};

test("disks become files with serials, graphics go, a logged serial console comes, the rest stays", () => {
  const sheet = domainXslt({
    uuid: "3b241101-e2bb-8255-8caf-4136c566a962",
    firmware: "uefi",
    disks: [
      { target: "vda", file: "/vms/a&b{c}/disk.qcow2", format: "qcow2", serial: "root-1" },
      { target: "vdb", file: "/vms/seed.iso", format: "raw", serial: "seed-1", readonly: true },
    ],
    consoleLog: "/vms/console.log",
  });
  const xslt = withMarks(sheet, {
    definition: "d1",
    instance: "i1",
    root: "r1",
    keepData: false,
    starting: true,
    tailnet: aNode("1"),
  });
  const before =
    "<domain type='qemu'><name>x</name><os><type arch='x86_64'>hvm</type></os><devices>" +
    "<disk type='volume' device='disk'><source pool='p' volume='disk.qcow2'/><target dev='vda' bus='virtio'/></disk>" +
    "<disk type='volume' device='disk'><source pool='p' volume='seed.iso'/><target dev='vdb' bus='virtio'/></disk>" +
    "<graphics type='spice'/><rng model='virtio'/></devices></domain>";
  expect(applyXslt(xslt, before)).toBe(
    '<?xml version="1.0"?>\n<domain type="qemu"><name>x</name><os firmware="efi"><type arch="x86_64">hvm</type></os><devices>' +
      '<disk type="file" device="disk"><driver name="qemu" type="qcow2" discard="unmap"/><source file="/vms/a&amp;b{c}/disk.qcow2"/><target dev="vda" bus="virtio"/><serial>root-1</serial></disk>' +
      '<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/vms/seed.iso"/><target dev="vdb" bus="virtio"/><serial>seed-1</serial><readonly/></disk>' +
      '<rng model="virtio"/><serial type="pty"><log file="/vms/console.log" append="on"/><target port="0"/></serial><console type="pty"><target type="serial" port="0"/></console></devices>' +
      "<uuid>3b241101-e2bb-8255-8caf-4136c566a962</uuid>" +
      `<metadata><definition xmlns="urn:project-vms:definition" digest="d1" instance="i1" root="r1"/><data xmlns="urn:project-vms:data" keep="no"/><start xmlns="urn:project-vms:start" pending="yes"/><tailnet xmlns="urn:project-vms:tailnet" id="1" node="${aNode("1").nodeKey}"/></metadata></domain>`,
  );
});

test("one interface gets a network filter, whatever else the stylesheet does, and whatever case its MAC address has", () => {
  const sheet = domainXslt({ uuid: "u", firmware: "bios", disks: [], consoleLog: "/vms/a&b{c}/console.log" });
  const nic = (mac: string) => `<interface type="network"><mac address="${mac}"/><model type="virtio"/></interface>`;
  const before = `<domain><devices>${nic("52:54:00:AB:CD:EF")}${nic("52:54:00:00:00:01")}</devices></domain>`;
  const after = applyXslt(withFilter(sheet, "52:54:00:ab:cd:ef", "project-app"), before);
  const filtered = nic("52:54:00:AB:CD:EF").replace("</interface>", '<filterref filter="project-app"/></interface>');
  expect(after).toBe(applyXslt(sheet, before).replace(nic("52:54:00:AB:CD:EF"), filtered));
  expect(after).toContain('filter="project-app"');
  expect(after).toContain('<log file="/vms/a&amp;b{c}/console.log"');
});

test("an interface that a transform has put onto a bridge gets none", () => {
  const sheet = domainXslt({ uuid: "u", firmware: "bios", disks: [], consoleLog: "/vms/app/console.log" });
  const before =
    '<domain><devices><interface type="bridge"><mac address="52:54:00:ab:cd:ef"/></interface></devices></domain>';
  expect(applyXslt(withFilter(sheet, "52:54:00:ab:cd:ef", "project-app"), before)).toBe(applyXslt(sheet, before));
});

test("a disk that stands alone has no backing file, whatever its header says; others are as they were", () => {
  const file = (name: string) => ({ file: `/vms/app/${name}`, format: "qcow2" as const, serial: name });
  const disks = [
    { target: "vda", ...file("disk.qcow2") },
    { target: "vdb", ...file("project.qcow2") },
  ];
  const sheet = domainXslt({ uuid: "u", firmware: "bios", disks, consoleLog: "/vms/app/console.log" });
  const disk = (target: string) => `<disk type="volume" device="disk"><target dev="${target}" bus="virtio"/></disk>`;
  const before = `<domain><devices>${disk("vda")}${disk("vdb")}</devices></domain>`;
  const serial = "<serial>project.qcow2</serial>";
  const plain = applyXslt(sheet, before);
  expect(plain).toContain(serial);
  expect(applyXslt(standingAlone(sheet, "vdb"), before)).toBe(plain.replace(serial, `${serial}<backingStore/>`));
});

test("a stylesheet of a transform's own, which makes that disk in another way, is left as it is", () => {
  const own =
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><disk/></xsl:template></xsl:stylesheet>';
  expect(applyXslt(standingAlone(own, "vdb"), "<domain/>")).toBe(applyXslt(own, "<domain/>"));
});

test("a VM has no memory balloon, which libvirt would add; all else stays", () => {
  const sheet = domainXslt({ uuid: "u", firmware: "bios", disks: [], consoleLog: "/vms/app/console.log" });
  const before = '<domain><devices><rng model="virtio"/></devices></domain>';
  const plain = applyXslt(sheet, before);
  expect(plain).not.toContain("memballoon");
  expect(applyXslt(withoutBalloon(sheet), before)).toBe(
    plain.replace("</devices>", '<memballoon model="none"/></devices>'),
  );
});

describe("the stylesheet of a transform", () => {
  const none = '<memballoon model="none"/>';
  const before = '<domain><devices><rng model="virtio"/><disk/></devices></domain>';
  const ours = domainXslt({ uuid: "u", firmware: "bios", disks: [], consoleLog: "/vms/app/console.log" });
  const copied = '<xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy>';
  const own = (templates: string, root = "stylesheet") =>
    `<xsl:${root} version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="@*|node()">${copied}</xsl:template>${templates}</xsl:${root}>`;
  const forDevices = (content: string, match = "/domain/devices") =>
    own(`<xsl:template match="${match}">${content}</xsl:template>`);
  const each = '<xsl:for-each select="*"><xsl:copy/></xsl:for-each>';

  test.each([
    [
      "keeps its console in a folder of that name",
      domainXslt({ ...details, firmware: "bios", consoleLog: "/vms/memballoon/console.log" }),
    ],
    ["has a comment on it", ours.replace("<serial ", "<!-- no <memballoon model='virtio'/> --><serial ")],
    ["is its own, without a template for devices", own("")],
    ["is its own, under XSLT's other name", own("", "transform")],
    ["copies each device", forDevices(`<xsl:copy>${each}</xsl:copy>`)],
    ["writes the devices out", forDevices(`<devices>${each}</devices>`)],
    ["matches devices in a shorter way", forDevices(copied, "graphics | devices")],
    [
      "has a condition",
      forDevices(
        `<xsl:choose><xsl:when test="rng">${copied}</xsl:when><xsl:otherwise>${copied}</xsl:otherwise></xsl:choose>`,
      ),
    ],
  ])("that %s gives the VM no memory balloon either", (_, sheet) => {
    expect(applyXslt(withoutBalloon(sheet), before)).toBe(
      applyXslt(sheet, before).replace("</devices>", `${none}</devices>`),
    );
  });

  test.each([
    ["gives the VM one", ours.replace("<serial ", '<memballoon model="virtio"/><serial ')],
    ["gives the VM one by its name", ours.replace("<serial ", '<xsl:element name="memballoon"/><serial ')],
    [
      "makes the devices in a way that is not seen through",
      forDevices(`<xsl:element name="devices">${each}</xsl:element>`),
    ],
    ["makes the domain by itself", own('<xsl:template match="/"><domain/></xsl:template>')],
  ])("that %s does as before", (_, sheet) => {
    expect(applyXslt(withoutBalloon(sheet), before)).toBe(applyXslt(sheet, before));
  });

  const choice =
    '<xsl:choose><xsl:when test="rng"><hostdev/><hostdev/></xsl:when><xsl:otherwise><hostdev/></xsl:otherwise></xsl:choose>';

  test.each([
    ["none, in a comment and a path", ours.replace("<serial ", '<!-- <hostdev/> --><log file="/hostdev"/><serial '), 0],
    ["one", ours.replace("<serial ", "<hostdev><source/></hostdev><serial "), 1],
    ["one by its name beside another", ours.replace("<serial ", '<xsl:element name="hostdev"/><hostdev/><serial '), 2],
    ["as many as the longest choice has", forDevices(`<devices>${choice}<hostdev/></devices>`), 3],
  ])("makes so many devices of a kind: %s", (_, sheet, count) => {
    expect(elementsMade(sheet, "hostdev")).toBe(count);
  });
});

const marks: Marks = { definition: "d1", instance: "i1", root: "r1", keepData: true, starting: false };

/** The text that a domain's digest is made over: another one has every VM that there is restart. */
test.each([
  ["bios", "b303a0536837446e764c1c66bcda002fa4cc623651f01ae3fa6ffec394bfbead"],
  ["uefi", "b581c8492e91a3481f26fe0cd2a3f2c7966f9a458f2113aa18c500a8fc64db12"],
] as const)(
  "the stylesheet without marks is, byte for byte, the one that existing VMs (%s) were made from",
  (firmware, sha256) => {
    const sheet = domainXslt({ ...details, firmware });
    expect(createHash("sha256").update(sheet).digest("hex")).toBe(sha256);
  },
);

describe("marks", () => {
  const plain = "<domain><name>x</name><devices/></domain>";
  const sheet = domainXslt({ ...details, firmware: "bios" });
  const marked = (id: string) => withMarks(sheet, { ...marks, tailnet: { ...aNode(1), id: id as never } });
  const shape = (xml: string) => xml.replace(/ id="[^"]*"/, "");

  test.each(
    Object.entries(hostileTexts).filter(([name]) => !/zero|escape|terminal|screen|editor|letter|11 MiB/.test(name)),
  )("that hold %s stay values, even where their type was forced", (_, text) => {
    const applied = applyXslt(marked(text), plain);
    expect(shape(applied)).toBe(shape(applyXslt(marked("n1"), plain)));
  });

  test("of a disk that was adopted bigger than asked for are read back from the domain, and others stand beside them", () => {
    const adopted = { size: 50 * 2 ** 30, asked: 40 * 2 ** 30 };
    const xml = applyXslt(withMarks(sheet, { ...marks, adopted }), plain);
    expect(parseDomain(xml).marks).toEqual({ ...marks, starting: undefined, adopted });
    expect(parseDomain(applyXslt(withMarks(sheet, marks), plain)).marks).not.toHaveProperty("adopted");
    const edited = xml.replace(`asked="${adopted.asked}"`, 'asked="-1"');
    expect(parseDomain(edited).marks).not.toHaveProperty("adopted");
  });

  test("keep a stylesheet that somebody has changed as it is", () => {
    const own = `<?xml version="1.0"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><!-- a < b & "c" -->
<xsl:template match="/domain/name[. = &quot;x&quot; or . = 'y']"><n a="{concat('1', &quot;2&quot;, '&#10;&#9;')} 3
4"><xsl:text> </xsl:text>1 &lt; 2 &amp;<![CDATA[<&]]></n></xsl:template>
<xsl:template match="/domain"><d><xsl:apply-templates select="name"/><m id="@node@" other="x @node@"/>@node@</d></xsl:template>
</xsl:stylesheet>`;
    const byHand = own.replace('id="@node@"', `id="${aNode(1).nodeKey}"`);
    expect(applyXslt(withMarks(own, { ...marks, tailnet: aNode(1) }), plain)).toBe(applyXslt(byHand, plain));
  });
});
