import { describe, expect, test } from "vitest";
import { sentence } from "../../../src/core/records.ts";
import { GiB } from "../../../src/core/sizes.ts";
import { describeRemovals, type HostView, keptDisks } from "../../../src/lifecycle/leftovers.ts";
import { aDomain, anInventory, aPool, aVolume } from "../found.ts";

const pool = aPool({ volumes: [aVolume()] });
const view = (found: Parameters<typeof anInventory>[0], projects: string[] = []): HostView => ({
  inventory: anInventory({ pools: [pool], ...found }),
  storageDir: "/vms",
  owner: "storage",
  projects,
});
const kept = {
  name: "webapp",
  path: "/vms/webapp/project.qcow2",
  size: 50 * GiB,
  used: 3 * GiB,
  remove: "project-vm purge webapp --stack storage",
};

describe("VMs whose entry is gone", () => {
  test.each([
    [
      "whose data is kept",
      view({ domains: [aDomain()] }),
      ["webapp: VM removed, data kept: /vms/webapp/project.qcow2 (50 GiB, 3 GiB used)"],
    ],
    [
      "whose data goes",
      view({ domains: [aDomain({ marks: { keepData: false } })] }),
      ["webapp: VM removed, and its project disk DELETED with all data (keepData is false; 50 GiB, 3 GiB used)"],
    ],
    ["that lost its disk", view({ domains: [aDomain()], pools: [] }), ["webapp: VM removed; it has no project disk"]],
    ...(
      [
        ["kept", {}, [aPool({ active: false })], `VM removed, data kept: ${kept.path} (its size is not known)`],
        ["kept", {}, [], `VM removed, data kept: ${kept.path} (its size is not known)`],
        [
          "that goes",
          { keepData: false },
          [aPool({ active: false })],
          "VM removed, and its project disk DELETED with all data (keepData is false; its size is not known)",
        ],
        [
          "that goes",
          { keepData: false },
          [],
          `VM removed; its project disk ${kept.path} is kept, although keepData is false: its pool is gone`,
        ],
      ] as const
    ).map(([what, marks, pools, line]): [string, HostView, string[]] => [
      `whose disk, ${what}, is in a pool that ${pools.length > 0 ? "is stopped" : "is gone"}`,
      view({ domains: [aDomain({ marks, diskPaths: [kept.path] })], pools: [...pools] }),
      [`webapp: ${line}`],
    ]),
    [
      "that the state does not have",
      { ...view({ domains: [aDomain()] }), removable: ["other"] },
      [
        "webapp: its VM (running) is on the host and stays: it is not in this stack's state; have the state adopt it, with an entry of that name: project-vm apply --stack storage; then it can be removed; one that others copied goes by virsh",
      ],
    ],
    [
      "that the state has",
      { ...view({ domains: [aDomain()] }), removable: ["webapp"] },
      ["webapp: VM removed, data kept: /vms/webapp/project.qcow2 (50 GiB, 3 GiB used)"],
    ],
    [
      "that virt-manager copied from one of its own",
      view({ domains: [aDomain({ name: "project-webapp-clone", diskPaths: ["/vms/webapp/disk-clone.qcow2"] })] }),
      [],
    ],
    ["whose entry is there", view({ domains: [aDomain()] }, ["webapp"]), []],
    ["of another stack", view({ domains: [aDomain({ description: "project-vms stack raider" })] }), []],
    ["of nobody we know", view({ domains: [aDomain({ name: "webapp" })] }), []],
  ])("%s", (_, given, expected) => expect(describeRemovals(given).map(sentence)).toEqual(expected));
});

test("a program is told apart VMs that go and those that stay", () => {
  const found = view({ domains: [aDomain()] });
  const kinds = [found, { ...found, removable: [] }].map((one) => describeRemovals(one).map(({ kind }) => kind));
  expect(kinds).toEqual([["removed"], ["noted"]]);
});

describe("kept disks", () => {
  test.each<[string, HostView, object[]]>([
    ["one without a VM", view({}), [kept]],
    ["one whose VM goes with this update", view({ domains: [aDomain()] }), [kept]],
    ["none whose VM stays", { ...view({ domains: [aDomain()] }), removable: [] }, []],
    ["none whose data goes too", view({ domains: [aDomain({ marks: { keepData: false } })] }), []],
    ["none that a project has", view({}, ["webapp"]), []],
    [
      "none of another stack's VM",
      view({ domains: [aDomain({ description: "project-vms stack raider", diskPaths: [kept.path] })] }),
      [],
    ],
    ["none that some other domain uses", view({ domains: [aDomain({ name: "x", diskPaths: [kept.path] })] }), []],
    ["none in another folder", view({ pools: [aPool({ path: "/elsewhere/webapp", volumes: [aVolume()] })] }), []],
    ["no pool without a project disk", view({ pools: [aPool()] }), []],
  ])("%s", (_, given, expected) => expect(keptDisks(given)).toEqual(expected));
});
