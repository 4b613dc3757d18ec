import { expect, test } from "vitest";
import { parseDevices } from "../../../host/domain-devices.ts";

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
    <interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='default' bridge='virbr0'/></interface>
    <interface type='bridge'><mac address='52:54:00:aa:bb:cd'/><source bridge='br0'/></interface>
    <hostdev mode='subsystem' type='usb'/>
    <filesystem type='mount'/>
    <graphics type='spice'/><video/><sound model='ich9'/><input type='tablet'/><tpm model='tpm-crb'/>
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
      { mac: "52:54:00:aa:bb:cc", on: "default" },
      { mac: "52:54:00:aa:bb:cd", on: "br0" },
    ],
    others: ["hostdev", "filesystem", "graphics", "tpm", "sound", "channel com.redhat.spice.0"],
  });
  expect(parseDevices("<domain><devices/></domain>")).toEqual({ disks: [], nics: [], others: [] });
  expect(() => parseDevices("<network/>")).toThrow("not the XML of a libvirt domain");
});
