import { expect, test } from "vitest";
import { parseDevices } from "../../../src/libvirt/domain-devices.ts";

test("devices are read with the files below a disk, also where libvirt shows nothing of them", () => {
  const xml = `<domain type='kvm'><name>project-webapp</name><devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/vms/webapp/disk.s2'/>
      <backingStore type='file'><format type='qcow2'/><source file='/vms/webapp/disk.s1'/>
        <backingStore type='file'><format type='qcow2'/><source file='/vms/webapp/disk.qcow2'/><backingStore/></backingStore>
      </backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdb'/></disk>
    <disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vdc'/></disk>
    <disk type='file' device='cdrom'><target dev='sda'/></disk>
    <interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='default' bridge='virbr0'/><filterref filter='f'/></interface>
    <interface type='bridge'><mac address='52:54:00:aa:bb:cd'/><source bridge='br0'/></interface>
    <hostdev mode='subsystem' type='usb'/>
    <filesystem type='mount'/>
    <graphics type='spice'/><video><model type='qxl'/></video><sound model='ich9'/><input type='tablet' bus='usb'/><tpm model='tpm-crb'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <serial type='pty'/><console type='pty'/><controller type='usb'/><memballoon/><rng/><audio/><watchdog model='itco'/>
  </devices></domain>`;
  expect(parseDevices(xml)).toEqual({
    disks: [
      {
        target: "vda",
        source: "/vms/webapp/disk.s2",
        format: "qcow2",
        chain: ["/vms/webapp/disk.s1", "/vms/webapp/disk.qcow2"],
      },
      { target: "vdb", source: "p/v", format: "", chain: [] },
      { target: "vdc", source: "/dev/sdb", format: "", chain: [] },
      { target: "sda", source: "", format: "", chain: [] },
    ],
    nics: [
      { mac: "52:54:00:aa:bb:cc", type: "network", on: "default", filter: "f" },
      { mac: "52:54:00:aa:bb:cd", type: "bridge", on: "br0" },
    ],
    others: ["hostdev", "filesystem", "graphics", "video", "tpm", "sound", "input", "channel com.redhat.spice.0"],
  });
  expect(parseDevices("<domain><devices/></domain>")).toEqual({ disks: [], nics: [], others: [] });
  expect(() => parseDevices("<network/>")).toThrow("not the XML of a libvirt domain");
});

test.each([
  ["virtio", { balloon: "virtio" }],
  ["none", {}],
])("a memory balloon (%s) is no device that people add, and known all the same", (model, balloon) =>
  expect(parseDevices(`<domain><devices><memballoon model='${model}'/></devices></domain>`)).toEqual({
    disks: [],
    nics: [],
    others: [],
    ...balloon,
  }),
);

/** What a definition of ours comes to, as libvirt 9 shows it on i440fx and on q35; newer ones add the watchdog on q35. */
const untouched = `
    <serial type='pty'><log file='/vms/a.console/console.log' append='on'/><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <disk type='file' device='disk'><source file='/vms/a/disk.qcow2'/><target dev='vda' bus='virtio'/><serial>root-1</serial></disk>
    <controller type='usb' index='0' model='qemu-xhci'/><controller type='pci' index='0' model='pcie-root'/>
    <input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>
    <audio id='1' type='none'/><watchdog model='itco' action='reset'/><memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>`;
const othersIn = (devices: string) =>
  parseDevices(`<domain type='kvm'><devices>${devices}${untouched}</devices></domain>`).others;

test("of an untouched definition no device counts as added", () => expect(othersIn("")).toEqual([]));

test.each([
  ["watchdog", "<watchdog model='i6300esb' action='reset'/>"],
  ["panic", "<panic model='isa'/>"],
  ["input", "<input type='tablet' bus='usb'/>"],
  ["video", "<video><model type='virtio' heads='1'/></video>"],
  ["serial", "<serial type='pty'><target type='isa-serial' port='1'/></serial>"],
  [
    "rng",
    "<rng model='virtio'><backend model='egd' type='udp'><source mode='connect' host='h' service='1'/></backend></rng>",
  ],
])("a %s that libvirt does not add by itself, and our definition does not make, is one of others", (kind, xml) =>
  expect(othersIn(xml)).toEqual([kind]),
);
