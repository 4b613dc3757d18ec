import { expect, test, vi } from "vitest";
import { virshFor } from "../../../../src/libvirt/virsh.ts";
import { withXmlFile } from "../../../../src/libvirt/xml-file.ts";
import { examineBalloons, examineUnknownGuests } from "../../../../src/operations/doctor/guests.ts";
import { aDomain, devicesWith } from "../../found.ts";

vi.mock("../../../../src/libvirt/embedded-look.ts", async (original) => ({
  ...(await original<object>()),
  guestProcesses: () => [
    { domain: "project-webapp", pid: 11 },
    { domain: "project-demo", pid: 12 },
  ],
}));

const bare = devicesWith();
const balloon = { ...bare, balloon: "virtio" };
const says =
  "project-webapp has a memory balloon: by a number that its guest writes there, libvirt can take it for shut off while it runs";
const restart = "project-vm restart webapp --stack storage";
const ofTransform =
  "that takes one of a transform's own away too, which comes back with the VM's next redefinition: take <memballoon> out of the transform's stylesheet, or write <memballoon model=\"none\"/> there";

test.each([
  [
    "runs with one",
    "running",
    [balloon, balloon],
    says,
    `project-vm doctor --fix, then ${restart}; ${ofTransform}`,
    "possible",
  ],
  ["is off and has one", "shut off", [balloon], says, `project-vm doctor --fix; ${ofTransform}`, "possible"],
  [
    "gets one by its next start",
    "running",
    [bare, balloon],
    says,
    `project-vm doctor --fix, then ${restart}; ${ofTransform}`,
    "possible",
  ],
  ["runs with one until then", "running", [balloon, bare], `${says}; it is gone after a restart`, restart, "none"],
])("a VM that %s is named, with what mends it", (_, state, devices, text, remedy, fix) => {
  const found = examineBalloons("storage", { domains: [aDomain({ state, devices })] }, virshFor("test:///default"));
  expect(found).toMatchObject([{ check: "VMs", level: "warning", says: text, remedy, fix }]);
});

test.each([
  ["a VM without one", aDomain({ devices: [bare, bare] })],
  ["another stack's", aDomain({ description: "project-vms stack other", devices: [balloon] })],
  ["another's domain", aDomain({ name: "webapp", devices: [balloon] })],
])("%s is not", (_, domain) =>
  expect(examineBalloons("storage", { domains: [domain] }, virshFor("test:///default"))).toEqual([]),
);

/** What libvirt makes of a definition: each process has a test driver of its own. */
async function asDefined(file: string): Promise<string> {
  const batch = [
    ["define", file],
    ["dumpxml", "project-webapp"],
  ];
  return (await virshFor("test:///default").ask(batch))[1]?.output ?? "";
}

test("by --fix a definition has none, by libvirt's own word, and keeps what others noted in it", async () => {
  const xml =
    "<domain type='test'><name>project-webapp</name><title> by hand </title><metadata><o:own xmlns:o='urn:o' a='1'/></metadata>" +
    "<memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices><memballoon model='virtio'/></devices></domain>";
  expect(await withXmlFile(xml, asDefined)).toContain("<memballoon model='virtio'");
  const defined: string[] = [];
  const asked: string[][] = [];
  const run = async (...words: string[]) => {
    asked.push(words);
    return words[0] === "define" ? String(defined.push(await asDefined(words[1] ?? ""))) : xml;
  };
  const virsh = { ...virshFor("test:///default"), run };
  const [found] = examineBalloons("storage", { domains: [aDomain({ devices: [balloon] })] }, virsh);
  await found?.mend?.();
  // Of what runs, libvirt tells more than was defined; and of passwords nothing, unless it is asked to.
  expect(asked[0]).toEqual(["dumpxml", "project-webapp", "--inactive", "--security-info"]);
  expect(defined).toHaveLength(1);
  for (const kept of ["<memballoon model='none'/>", "<title> by hand </title>", 'xmlns:o="urn:o" a="1"/>'])
    expect(defined[0]).toContain(kept);
});

test("a guest that runs unknown to its libvirt is named, with what to do", async () => {
  const virsh = {
    ...virshFor("qemu+unix:///system?socket=/var/lib/project-vms/a-1/run/libvirt/libvirt-sock"),
    run: async () => "project-webapp\n",
  };
  expect(await examineUnknownGuests(virsh)).toEqual([
    {
      check: "VMs",
      level: "failure",
      says: "project-demo: must be known to its libvirt while it runs, but a QEMU of project-demo runs that libvirt does not know (process 12)",
      remedy:
        "log in to it by the `ssh` command that `project-vm status` prints, and shut it down (sudo poweroff), without which what it has not written is lost; then end its process: kill 12",
      fix: "none",
    },
  ]);
});
