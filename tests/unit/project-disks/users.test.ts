import { expect, test } from "vitest";
import { projectDisk } from "../../../src/project-disks/project-disk.ts";
import { type PossibleUsers, usersOf } from "../../../src/project-disks/users.ts";
import { messageOf } from "../config/samples.ts";

const disk = projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp");
const domain = (name: string, ...diskPaths: string[]) => ({ name, state: "shut off", diskPaths });
const pool = (name: string, path: string, type = "dir") => ({ name, type, path });

test.each<[string, PossibleUsers, string[]]>([
  ["nobody", { domains: [], pools: [] }, []],
  [
    "others with names alike",
    {
      domains: [domain("project-myapp2", "/vms/myapp2/project.qcow2"), domain("other", "/vms/myapp-old/project.qcow2")],
      pools: [pool("project-myapp2", "/vms/myapp2"), pool("project-myapp", "/vms/myapp")],
    },
    [],
  ],
  [
    "its own VM",
    { domains: [domain("project-myapp", "/vms/myapp/project.qcow2")], pools: [] },
    [
      "project-myapp: must not be there, but is (shut off): the disk is its own",
      "take myapp out of its stack's config, then `pulumi up`",
    ],
  ],
  [
    "somebody else's VM",
    { domains: [domain("other", "/tmp/x", "/vms//myapp/project.qcow2")], pools: [] },
    ["other: must not use disks in /vms/myapp, but does (shut off)", "take those disks from that domain"],
  ],
  [
    "a pool of another folder",
    { domains: [], pools: [pool("project-myapp", "/other/myapp")] },
    [
      "project-myapp: must be of type dir at /vms/myapp, but is of type dir at /other/myapp",
      "name the host and storageDir of that pool in the stack's config",
    ],
  ],
  [
    "a pool of another kind",
    { domains: [], pools: [pool("project-myapp", "", "rbd")] },
    [
      "project-myapp: must be of type dir at /vms/myapp, but is of type rbd",
      "name the host and storageDir of that pool in the stack's config",
    ],
  ],
])("%s", (_, found, said) => {
  const issues = usersOf(disk, found);
  expect(issues.flatMap(({ path, rule, remedy }) => [`${path}: ${rule}`, remedy])).toEqual(said);
});

test("a name that no project can have is refused before anything is looked at", () => {
  expect(messageOf(() => projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "../base"))).toBe(
    [
      "There can be no such project.",
      '  - project: is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end, but is "../base"',
      "    write `base`",
    ].join("\n"),
  );
  expect(messageOf(() => projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "base"))).toContain("is taken");
});
