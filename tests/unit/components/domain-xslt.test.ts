import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, expect, test } from "vitest";
import { domainXslt, withFilter, withMarks } from "../../../components/domain-xslt.ts";

const dir = mkdtempSync(path.join(tmpdir(), "domain-xslt-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** What the libvirt provider does with a stylesheet. */
function apply(xslt: string, xml: string): string {
  writeFileSync(path.join(dir, "sheet.xsl"), xslt);
  writeFileSync(path.join(dir, "domain.xml"), xml);
  return execaSync("xsltproc", ["--nonet", path.join(dir, "sheet.xsl"), path.join(dir, "domain.xml")]).stdout;
}

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
    tailnet: { id: "n1", nodeKey: "nodekey:2" },
  });
  const before =
    "<domain type='qemu'><name>x</name><os><type arch='x86_64'>hvm</type></os><devices>" +
    "<disk type='volume' device='disk'><source pool='p' volume='disk.qcow2'/><target dev='vda' bus='virtio'/></disk>" +
    "<disk type='volume' device='disk'><source pool='p' volume='seed.iso'/><target dev='vdb' bus='virtio'/></disk>" +
    "<graphics type='spice'/><rng model='virtio'/></devices></domain>";
  expect(apply(xslt, before)).toBe(
    '<?xml version="1.0"?>\n<domain type="qemu"><name>x</name><os firmware="efi"><type arch="x86_64">hvm</type></os><devices>' +
      '<disk type="file" device="disk"><driver name="qemu" type="qcow2" discard="unmap"/><source file="/vms/a&amp;b{c}/disk.qcow2"/><target dev="vda" bus="virtio"/><serial>root-1</serial></disk>' +
      '<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/vms/seed.iso"/><target dev="vdb" bus="virtio"/><serial>seed-1</serial><readonly/></disk>' +
      '<rng model="virtio"/><serial type="pty"><log file="/vms/console.log" append="on"/><target port="0"/></serial><console type="pty"><target type="serial" port="0"/></console></devices>' +
      "<uuid>3b241101-e2bb-8255-8caf-4136c566a962</uuid>" +
      '<metadata><definition xmlns="urn:project-vms:definition" digest="d1" instance="i1" root="r1"/><data xmlns="urn:project-vms:data" keep="no"/><start xmlns="urn:project-vms:start" pending="yes"/><tailnet xmlns="urn:project-vms:tailnet" id="n1" node="nodekey:2"/></metadata></domain>',
  );
});

test("one interface gets a network filter, whatever else the stylesheet does, and whatever case its MAC address has", () => {
  const sheet = domainXslt({ uuid: "u", firmware: "bios", disks: [], consoleLog: "/vms/a&b{c}/console.log" });
  const nic = (mac: string) => `<interface type="network"><mac address="${mac}"/><model type="virtio"/></interface>`;
  const before = `<domain><devices>${nic("52:54:00:AB:CD:EF")}${nic("52:54:00:00:00:01")}</devices></domain>`;
  const after = apply(withFilter(sheet, "52:54:00:ab:cd:ef", "project-app"), before);
  const filtered = nic("52:54:00:AB:CD:EF").replace("</interface>", '<filterref filter="project-app"/></interface>');
  expect(after).toBe(apply(sheet, before).replace(nic("52:54:00:AB:CD:EF"), filtered));
  expect(after).toContain('filter="project-app"');
  expect(after).toContain('<log file="/vms/a&amp;b{c}/console.log"');
});
