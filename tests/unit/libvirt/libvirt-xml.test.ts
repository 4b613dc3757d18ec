import { describe, expect, test } from "vitest";
import { nicOf, parseDomain, parseNetwork, parsePool, parseVolume } from "../../../src/libvirt/libvirt-xml.ts";

// What libvirt 9.0 printed, with the parts left out that have nothing to do with it.
const runningDomain = `<domain type='qemu' id='1'>
  <name>project-p1</name>
  <uuid>721aeebd-cf77-4d00-a826-d95d71fc99a8</uuid>
  <description>project-vms stack local</description>
  <metadata>
    <definition xmlns="urn:project-vms:definition" digest="c21312c0895b542c" instance="5f2a" root="44136fa355b3678a"/>
    <data:data xmlns:data="urn:project-vms:data" keep="no"/>
    <start xmlns="urn:project-vms:start" pending="yes"/>
    <note xmlns="urn:somebody:else" digest="0"/>
  </metadata>
  <memory unit='KiB'>8388608</memory>
  <vcpu placement='static'>4</vcpu>
  <os firmware='efi'><type arch='x86_64'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/vms/p1/disk.qcow2' index='3'/>
      <backingStore type='file' index='4'>
        <format type='qcow2'/>
        <source file='/vms/base/debian.qcow2'/>
        <backingStore/>
      </backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='volume' device='disk'>
      <driver name='qemu' type='raw'/>
      <source pool='project-p1' volume='seed.iso' index='1'/>
      <backingStore/>
      <target dev='vdc' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <target dev='hda' bus='ide'/>
      <readonly/>
    </disk>
    <disk type='block' device='disk'>
      <source dev='/dev/vg/one'/>
      <target dev='vdd' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:8e:53:86'/>
      <source network='project-vms' portid='602b53c2-ffeb-4178-88bf-89b1ed7548dd' bridge='virbr0'/>
    </interface>
  </devices>
</domain>
`;

const pool = `<pool type='dir'>
  <name>project-p1</name>
  <uuid>9fdf00c6-49c6-47b8-855d-ba528751567a</uuid>
  <capacity unit='bytes'>270553174016</capacity>
  <allocation unit='bytes'>31918047232</allocation>
  <available unit='bytes'>238635126784</available>
  <source>
  </source>
  <target>
    <path>/vms/p1</path>
    <permissions>
      <mode>0711</mode>
    </permissions>
  </target>
</pool>
`;

const volume = `<volume type='file'>
  <name>disk.qcow2</name>
  <key>/vms/p1/disk.qcow2</key>
  <capacity unit='bytes'>2147483648</capacity>
  <allocation unit='bytes'>204800</allocation>
  <physical unit='bytes'>196640</physical>
  <target>
    <path>/vms/p1/disk.qcow2</path>
    <format type='qcow2'/>
    <permissions>
      <mode>0644</mode>
      <owner>64055</owner>
    </permissions>
  </target>
  <backingStore>
    <path>/vms/base/debian.qcow2</path>
    <format type='qcow2'/>
  </backingStore>
</volume>
`;

describe("a domain", () => {
  test("its disks are those that it opens itself, not what they stand on, and an empty drive is none", () => {
    expect(parseDomain(runningDomain)).toEqual({
      name: "project-p1",
      uuid: "721aeebd-cf77-4d00-a826-d95d71fc99a8",
      type: "qemu",
      memory: 8 * 2 ** 30,
      cpus: 4,
      firmware: "uefi",
      network: "project-vms",
      marks: {
        definition: "c21312c0895b542c",
        instance: "5f2a",
        root: "44136fa355b3678a",
        keepData: false,
        starting: true,
      },
      description: "project-vms stack local",
      disks: [{ path: "/vms/p1/disk.qcow2" }, { pool: "project-p1", volume: "seed.iso" }, { path: "/dev/vg/one" }],
    });
  });

  test.each([
    ["<os firmware='efi'/>", "uefi"],
    ["<os><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader></os>", "uefi"],
    ["<os><loader type='rom'>/usr/share/seabios/bios.bin</loader></os>", "bios"],
    ["<os><type arch='x86_64'>hvm</type></os>", "bios"],
  ])("with %s it boots by %s", (os, firmware) => {
    const xml = `<domain type='kvm'><name>a</name><memory>131072</memory>${os}<devices/></domain>`;
    expect(parseDomain(xml).firmware).toBe(firmware);
  });

  test("a description is read as its text; a domain without one and without disks has neither", () => {
    const bare =
      "<domain type='kvm'><name>a</name><uuid>u</uuid><memory>131072</memory><vcpu>2</vcpu><devices/></domain>";
    expect(parseDomain(bare)).toEqual({
      name: "a",
      uuid: "u",
      type: "kvm",
      memory: 128 * 2 ** 20,
      cpus: 2,
      firmware: "bios",
      marks: {},
      disks: [],
    });
    const described = bare.replace("<devices/>", "<description>Tom &amp; Ann&apos;s &lt;VM&gt;</description>");
    expect(parseDomain(described).description).toBe("Tom & Ann's <VM>");
    expect(parseDomain(bare.replace("<devices/>", "<description>1.0</description>")).description).toBe("1.0");
  });

  test("what is no domain's XML is refused", () => {
    expect(() => parseDomain(pool)).toThrow("not the XML of a libvirt domain: <pool type='dir'>");
  });
});

test("a pool", () => {
  expect(parsePool(pool)).toEqual({
    name: "project-p1",
    uuid: "9fdf00c6-49c6-47b8-855d-ba528751567a",
    type: "dir",
    path: "/vms/p1",
    capacity: 270553174016,
    available: 238635126784,
  });
});

test("a pool that is nowhere in the file system has no path", () => {
  const rbd = "<pool type='rbd'><name>ceph</name><uuid>u</uuid><source><name>rbdpool</name></source></pool>";
  expect(parsePool(rbd)).toEqual({ name: "ceph", uuid: "u", type: "rbd", path: "", capacity: 0, available: 0 });
});

describe("a volume", () => {
  test("with what it stands on, its file's size and rights", () => {
    expect(parseVolume(volume)).toEqual({
      name: "disk.qcow2",
      path: "/vms/p1/disk.qcow2",
      capacity: 2147483648,
      allocation: 204800,
      format: "qcow2",
      backingPath: "/vms/base/debian.qcow2",
      backingFormat: "qcow2",
      physical: 196640,
      mode: 0o644,
    });
  });

  test.each(["console.log", "console.log.2"])("%s is no image, whatever a guest printed", (name) => {
    const printed = volume.replaceAll("disk.qcow2", name);
    const found = { name, path: `/vms/p1/${name}`, capacity: 196640, format: "raw", allocation: 204800 };
    expect(parseVolume(printed)).toEqual({ ...found, physical: 196640, mode: 0o644 });
  });

  test("sizes in other units are converted, and an unknown unit is refused", () => {
    expect(parseVolume(volume.replace("'bytes'>2147483648", "'GiB'>2")).capacity).toBe(2147483648);
    expect(() => parseVolume(volume.replace("'bytes'", "'floppies'"))).toThrow("unknown unit: floppies");
  });
});

describe("a network", () => {
  const network = (inner: string) => `<network><name>n</name><uuid>u</uuid>${inner}</network>`;

  test("of ours", () => {
    const ours = network(`<forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>
      <bridge name='virbr0' stp='on' delay='0'/><mac address='52:54:00:34:92:c7'/>
      <domain name='local.project-vms.internal' localOnly='yes'/>
      <ip address='10.77.0.1' prefix='24'><dhcp><range start='10.77.0.2' end='10.77.0.254'/></dhcp></ip>`);
    expect(parseNetwork(ours)).toEqual({
      name: "n",
      uuid: "u",
      bridge: "virbr0",
      dnsDomain: "local.project-vms.internal",
      cidr: "10.77.0.0/24",
      gateway: "10.77.0.1",
      ipv6: [],
      stp: true,
      reservations: [],
    });
  });

  test("with reservations and IPv6", () => {
    const xml = network(`<bridge name='virbr0' stp='off'/>
      <ip family='ipv6' address='fd00:77::1' prefix='64'/>
      <ip address='10.77.0.1' prefix='24'><dhcp>
        <host mac='52:54:00:AA:00:01' name='project-a' ip='10.77.0.7'/><host mac='52:54:00:aa:00:02' ip='10.77.0.8'/>
      </dhcp></ip>`);
    expect(parseNetwork(xml)).toMatchObject({
      gateway: "10.77.0.1",
      ipv6: ["fd00:77::1/64"],
      stp: false,
      reservations: [
        { mac: "52:54:00:aa:00:01", name: "project-a", ip: "10.77.0.7" },
        { mac: "52:54:00:aa:00:02", name: "", ip: "10.77.0.8" },
      ],
    });
  });

  test.each([
    ["a netmask", "<ip address='192.168.122.1' netmask='255.255.255.0'/>", "192.168.122.0/24"],
    [
      "IPv6 first",
      "<ip family='ipv6' address='fd00::1' prefix='64'/><ip address='10.0.9.1' prefix='20'/>",
      "10.0.0.0/20",
    ],
    ["IPv6 alone", "<ip family='ipv6' address='fd00::1' prefix='64'/>", undefined],
    ["a plain bridge", "<forward mode='bridge'/><bridge name='br0'/>", undefined],
  ])("the IPv4 network of one with %s", (_, inner, cidr) => {
    expect(parseNetwork(network(inner)).cidr).toBe(cidr);
  });
});

test.each([
  ["has now", "n", "m", { network: "n" }],
  ["is defined with, where its guest has ejected it", undefined, "n", { network: "n" }],
  ["does not have at all", undefined, undefined, {}],
])("the interface of a domain is the one that it %s", (_, now, defined, nic) => {
  const xml = (network: string | undefined) => {
    const one = network ? `<interface type='network'><source network='${network}'/></interface>` : "";
    return `<domain type='kvm'><name>x</name><uuid>u</uuid><memory>1</memory><vcpu>1</vcpu><devices>${one}</devices></domain>`;
  };
  expect(nicOf([now, defined].map((view) => parseDomain(xml(view))))).toEqual(nic);
});
