import { expect, test } from "vitest";
import { domainUuid } from "../../../src/core/names.ts";
import { lostRemedy, movedRemedy } from "../../../src/embedded-host/lost-hosts.ts";
import { movedAway, noSuchVm, notRunning, type Whereabouts } from "../../../src/operations/find-vm.ts";
import { aHost, anOutline, aProject, aVm } from "./samples.ts";

const messageOf = (name: string, found: Partial<Whereabouts>) =>
  noSuchVm(name, { outline: anOutline(), found: aHost(), inState: [], others: {}, ...found }).message;

const disk = { name: "old", path: "/vms/old/project.qcow2", size: 1, used: 1 };

test.each<[string, string, Partial<Whereabouts>, string[]]>([
  [
    "a name that nobody has",
    "webap",
    {},
    ["  - webap: must be a project of the stack storage", "    did you mean webapp? (there are webapp)"],
  ],
  [
    "a stack without projects",
    "webapp",
    { outline: anOutline({}) },
    ["  - webapp: must be a project of the stack storage", "    the stack has no projects yet"],
  ],
  [
    "a VM that is not made yet",
    "webapp",
    {},
    [
      "  - webapp: must have been made, but is only in the config",
      "    make it: project-vm apply --stack storage, or pulumi up -s storage",
    ],
  ],
  [
    "a VM that was removed behind the stack's back",
    "webapp",
    { inState: ["webapp"], found: aHost({ disks: [{ ...disk, name: "webapp", path: "/vms/webapp/project.qcow2" }] }) },
    [
      "  - webapp: must be on qemu:///system, but its domain was removed there by other means than this stack's updates",
      "    recreate it, on its kept project disk: project-vm apply --stack storage, or pulumi up -s storage",
    ],
  ],
  [
    "a VM that was removed behind the stack's back with its disks",
    "webapp",
    { inState: ["webapp"] },
    [
      "  - webapp: must be on qemu:///system, but its domain was removed there by other means than this stack's updates",
      "    recreate it: project-vm apply --stack storage, or pulumi up --refresh -s storage",
    ],
  ],
  [
    "a VM of another stack on the same host",
    "api",
    { found: aHost({ vms: [aVm({ name: "api", stack: "local" })] }) },
    ["  - api: must be of the stack storage, but is of the stack local", "    name that stack: --stack local"],
  ],
  [
    "a VM of another stack, where the own state is not read here",
    "api",
    { found: aHost({ vms: [aVm({ name: "api", stack: "local" })] }), mayBeRenamed: true },
    [
      "  - api: must be of the stack storage, but is of the stack local",
      "    name that stack: --stack local; if storage was renamed, give it that name back: pulumi stack rename local --stack storage",
    ],
  ],
  [
    "a VM of this stack from before it was renamed",
    "api",
    { found: aHost({ vms: [aVm({ name: "api", stack: "local" })] }), formerName: "local" },
    [
      "  - api: must bear the name of its stack, but bears the one of before the stack was renamed, local",
      "    give the stack that name back: pulumi stack rename local --stack storage",
    ],
  ],
  [
    "a VM of another stack on another host",
    "api",
    { others: { local: ["demo"], raider: ["api"] } },
    ["  - api: must be of the stack storage, but is in Pulumi.raider.yaml", "    name that stack: --stack raider"],
  ],
  [
    "somebody else's domain",
    "api",
    { found: aHost({ vms: [aVm({ name: "api", stack: undefined })] }) },
    [
      "  - api: must be a VM of this stack, but somebody else made the domain project-api on qemu:///system",
      "    look at it: virsh -c 'qemu:///system' dominfo project-api",
    ],
  ],
  [
    "a VM of the state whose domain bears no mark of a stack",
    "webapp",
    { inState: ["webapp"], found: aHost({ vms: [aVm({ stack: undefined })] }) },
    [
      "  - webapp: must be a VM of this stack with its mark, but the domain project-webapp on qemu:///system is not: its description was rewritten, or it is another domain",
      `    look whether its UUID is ${domainUuid("webapp")}: virsh -c qemu:///system dominfo project-webapp; if it is this stack's, give it the mark back, as a line of its description: virsh -c qemu:///system desc project-webapp "$(echo 'project-vms stack storage'; virsh -c qemu:///system desc project-webapp)" --config --live`,
    ],
  ],
  [
    "a project of which only the disk was kept",
    "old",
    { found: aHost({ disks: [disk] }) },
    [
      "  - old: must have a VM, but only its disk was kept",
      "    make one that takes the disk up: project-vm create old --stack storage",
    ],
  ],
])("%s is told with the way on", (_what, name, found, lines) => {
  expect(messageOf(name, found)).toBe([`There is no VM ${name} to work on.`, ...lines].join("\n"));
});

test("one on the host that its checkout was moved away from is told with the way back", () => {
  const lost = { dir: "/hosts/a-1", checkout: "/a", projects: ["webapp"], isGone: true };
  expect(movedAway("webapp", "qemu:///system", lost).message.split("\n").slice(1)).toEqual([
    "  - webapp: must be on qemu:///system, but this checkout was moved: its VMs are on the embedded host of /a",
    `    ${lostRemedy({ checkout: "/a" })}`,
  ]);
});

test("one on the host of a checkout that is there is told with the way back, or on", () => {
  const host = { dir: "/hosts/a-1", checkout: "/a", projects: ["webapp"], isGone: false };
  expect(movedAway("webapp", "qemu:///system", host).message.split("\n").slice(1)).toEqual([
    "  - webapp: must be on qemu:///system, but this checkout was moved or copied from /a: its VMs are on the embedded host of the one that is there",
    `    ${movedRemedy(host)}`,
  ]);
});

test("of many projects only the likely one is named", () => {
  const projects = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`number-${i}`, aProject()]));
  expect(messageOf("numbr-7", { outline: anOutline(projects) })).toMatch(/did you mean number-7\?$/);
});

test.each([
  ["shut off", "start it: project-vm start webapp --wait --stack storage"],
  ["paused", "go on with it: project-vm start webapp --stack storage"],
] as const)("one that is %s is told with what has it run", (state, remedy) => {
  expect(notRunning({ outline: anOutline(), vm: aVm({ state }) }).message).toBe(
    ["webapp is not running.", `  - webapp: must be running, but is ${state}`, `    ${remedy}`].join("\n"),
  );
});

test.each(["constructor", "__proto__", "toString"])("a name that every object has is none of a project: %s", (name) => {
  for (const inState of [[], [name]]) {
    expect(messageOf(name, { inState })).toContain(`${name}: must be a project of the stack storage`);
  }
});
