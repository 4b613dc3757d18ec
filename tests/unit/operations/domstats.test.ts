import { expect, test } from "vitest";
import { parseDomstats } from "../../../src/operations/domstats.ts";

const output = `Domain: 'project-webapp'
  state.state=1
  state.reason=1
  balloon.current=1048576
  balloon.maximum=2097152
  vcpu.current=2
  vcpu.maximum=2
  vcpu.0.state=1
  block.count=2
  block.0.name=vda
  block.0.path=/vms/webapp/disk.qcow2
  block.0.allocation=0
  block.0.capacity=12884901888
  block.0.physical=204800
  block.1.name=vdb
  block.1.path=/vms/web app/project.qcow2
  block.1.allocation=0
  block.1.capacity=21474836480
  block.1.physical=8192

Domain: 'project-off'
  state.state=5
  balloon.maximum=1024
  vcpu.maximum=1
  block.count=1
  block.0.path=/vms/off/disk.qcow2
  block.0.allocation=200704
  block.0.capacity=1024
  block.0.physical=196800
`;

test("domains are read with their state, sizes in bytes, and disks", () => {
  expect(parseDomstats(output)).toEqual([
    {
      name: "project-webapp",
      state: "running",
      memory: 2 * 1024 ** 3,
      cpus: 2,
      disks: [
        { target: "vda", path: "/vms/webapp/disk.qcow2", size: 12884901888, used: 204800 },
        { target: "vdb", path: "/vms/web app/project.qcow2", size: 21474836480, used: 8192 },
      ],
    },
    {
      name: "project-off",
      state: "shut off",
      memory: 1024 * 1024,
      cpus: 1,
      disks: [{ path: "/vms/off/disk.qcow2", size: 1024, used: 200704 }],
    },
  ]);
});

test.each([
  ["3", "paused"],
  ["6", "crashed"],
  ["4", "other"],
  ["7", "suspended"],
])("state %s is %s", (number, state) => {
  expect(parseDomstats(`Domain: 'a'\n  state.state=${number}`)).toMatchObject([{ state }]);
});

test("a host without domains has none", () => {
  expect(parseDomstats("")).toEqual([]);
});
