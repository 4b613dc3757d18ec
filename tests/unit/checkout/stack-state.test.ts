import { expect, test } from "vitest";
import { mayBeDeleted, type Resource, readStackState, stateIn } from "../../../src/checkout/stack-state.ts";

const checkpoint = (projects: unknown) =>
  JSON.stringify({
    version: 3,
    checkpoint: {
      latest: {
        resources: [
          {
            type: "pulumi:pulumi:Stack",
            urn: "urn:pulumi:local::v::pulumi:pulumi:Stack::v-local",
            outputs: { projects },
          },
          {
            type: "libvirt:index/domain:Domain",
            urn: "urn:pulumi:local::v::a$libvirt:index/domain:Domain::my-app-domain",
          },
          {
            type: "command:local:Command",
            urn: "urn:pulumi:local::v::project-vms:index:ProjectVm$command:local:Command::my-app-teardown",
          },
          { type: "libvirt:index/pool:Pool", urn: "urn:pulumi:local::v::a$libvirt:index/pool:Pool::other-pool" },
        ],
      },
    },
  });

test("the VMs of a state and what the stack says of them", () => {
  expect(stateIn(checkpoint({ "my-app": { name: "my-app" } }))).toEqual({
    vms: ["my-app"],
    removable: ["my-app"],
    outputs: { "my-app": expect.objectContaining({ name: "my-app", addresses: [], hostKeys: [] }) },
    isCutOff: false,
  });
});

test.each([
  [undefined],
  [{ "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:x" }],
])("outputs that are not there, or secret, are none (%j)", (projects) => {
  expect(stateIn(checkpoint(projects))).toMatchObject({ vms: ["my-app"], outputs: {} });
});

test.each<[string, Record<string, unknown>[], string | undefined]>([
  ["a network", [{ type: "libvirt:index/network:Network", inputs: { domain: "old.project-vms.internal" } }], "old"],
  ["a VM", [{ type: "libvirt:index/domain:Domain", inputs: { description: "project-vms stack old" } }], "old"],
  [
    "a VM, as a stack that kept its name",
    [{ type: "libvirt:index/domain:Domain", inputs: { description: "project-vms stack new" } }],
    undefined,
  ],
  [
    "a secret, which tells nothing",
    [{ type: "libvirt:index/network:Network", inputs: { domain: { ciphertext: "v1:x" } } }],
    undefined,
  ],
])("the name of before a stack was renamed is told by %s", (_, resources, expected) => {
  const latest = {
    resources: resources.map((one) => ({ urn: `urn:pulumi:new::project-vms::${one.type}::x`, ...one })),
  };
  expect(stateIn(JSON.stringify({ checkpoint: { latest } }))?.formerName).toBe(expected);
});

test.each([
  [[], false],
  [[{ type: "creating", resource: { urn: "urn:pulumi:local::v::x::y" } }], true],
])("an update that was cut off leaves its operations pending: %j", (pending, expected) => {
  const latest = { resources: [], pending_operations: pending };
  expect(stateIn(JSON.stringify({ checkpoint: { latest } }))?.isCutOff).toBe(expected);
});

test("the libvirt that a stack was on is told by its provider", () => {
  const provider = (uri: unknown) =>
    JSON.stringify({
      checkpoint: {
        latest: { resources: [{ type: "pulumi:providers:libvirt", urn: "urn:pulumi:new::x", inputs: { uri } }] },
      },
    });
  expect(stateIn(provider("qemu:///system"))?.uri).toBe("qemu:///system");
  expect(stateIn(provider({ ciphertext: "v1:x" }))?.uri).toBeUndefined();
});

test("an empty stack, a file that is being written, a state elsewhere", async () => {
  expect(stateIn('{"version":3,"checkpoint":{}}')).toEqual({ vms: [], removable: [], outputs: {}, isCutOff: false });
  expect(stateIn('{"version":3,')).toBeUndefined();
  expect(await readStackState("/nowhere", "local")).toBeUndefined();
});

test.each<[string, unknown, string[]]>([
  ["keeps its data", { PROJECT_VMS_TEARDOWN: '{"keepData":true}' }, []],
  ["deletes it", { PROJECT_VMS_TEARDOWN: '{"keepData":false}' }, ["my-teardown"]],
  ["cannot be read", { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" }, ["my-teardown"]],
  ["is not there", undefined, ["my-teardown"]],
])("whether a disk may go is told by the teardown in the state: one that %s", (_, environment, expected) => {
  const urn = "urn:pulumi:local::v::project-vms:index:ProjectVm$command:local:Command::my-teardown-teardown";
  const resources = [{ type: "command:local:Command", urn, inputs: environment ? { environment } : {} }];
  expect(mayBeDeleted(resources as Resource[])).toEqual(expected);
});
