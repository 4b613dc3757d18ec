import type * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ProjectVm } from "../../../components/project-vm.ts";
import type { ProjectVmArgs } from "../../../components/project-vm-args.ts";
import { settingsVariable } from "../../../components/vm-hooks.ts";
import { VmHost } from "../../../components/vm-host.ts";
import { qcow2Xslt } from "../../../components/volume-xslt.ts";
import { UserError } from "../../../src/core/errors.ts";
import { macAddress } from "../../../src/core/names.ts";
import { decode, recordsVariable } from "../../../src/core/records.ts";
import { GiB } from "../../../src/core/sizes.ts";
import type { DomainFound } from "../../../src/libvirt/inventory.ts";
import { rulesDigest } from "../../../src/lifecycle/filter-xml.ts";
import { aDomain, anInventory, aPool, aVolume, devicesWith } from "../found.ts";
import { aNode } from "../guest/samples.ts";
import { emptyInventory, readiness, registered, resolved, settings } from "./stack.ts";

const sshKeys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII me"];
let host: VmHost;

beforeEach(() => {
  registered.length = 0;
  host = new VmHost("storage", { settings, inventory: emptyInventory });
});

const made = aDomain({ name: "project-app", marks: { instance: "first" } });

/** Makes a VM, waits until all of it is registered, and gives its resources by their role. */
async function make(args: Partial<ProjectVmArgs> = {}, on = host) {
  const vm = new ProjectVm("app", { host: on, sshKeys, ...args });
  const children = Object.values(vm.nodes).filter((child) => child !== undefined);
  await Promise.all(children.map((child) => resolved(child.urn)));
  await resolved(vm.readiness);
  const child = (role: string) => registered.find(({ name }) => name === `app-${role}`)?.inputs ?? {};
  return { vm, child };
}

describe("a VM in a tailnet", () => {
  const tailnet = { domain: "tail1234.ts.net", tag: "tag:project-vm", reusable: false, keyExpiry: 3600 };
  const inTailnet = (more: object = {}, found: Partial<DomainFound> = {}) =>
    new VmHost("storage", {
      settings,
      tailnet: { ...tailnet, ...more },
      inventory:
        Object.keys(found).length > 0
          ? anInventory({ domains: [aDomain({ name: "project-app", ...found })] })
          : emptyInventory,
    });

  const told = async (more: object = {}) => {
    const { child } = await make({}, inTailnet(more));
    const {
      PROJECT_VMS_TAILNET = "",
      PROJECT_VMS_READY,
      ...others
    } = child("ready").environment as Record<string, string>;
    return { join: JSON.parse(PROJECT_VMS_TAILNET), others, child };
  };
  const key = { tag: "tag:project-vm", reusable: false, keyExpiry: 3600, description: "project-vms teststack app" };

  test("is told to join by a tagged, single-use, short-lived key of its own, which no resource holds", async () => {
    const { join, others, child } = await told();
    expect({ join, others }).toEqual({ join: { domain: "tail1234.ts.net", anew: true, key }, others: {} });
    expect(registered.map(({ type }) => type).filter((type) => type.startsWith("tailscale"))).toEqual([]);
    expect(child("teardown")).toMatchObject({
      environment: { PROJECT_VMS_TEARDOWN: expect.stringContaining('"tailnet":{"domain":"tail1234.ts.net"') },
    });
  });

  test("is told where a key's file is, and not what is in it", async () => {
    expect((await told({ keyFile: "/run/key" })).join).toEqual({
      domain: "tail1234.ts.net",
      anew: true,
      key: { ...key, keyFile: "/run/key" },
    });
  });

  test("is told where the API's credentials are, and none of them: of the environment nothing at all", async () => {
    const headscale = { server: "https://hs", headscale: { user: "vms" } };
    const join = { anew: true, server: "https://hs", key: { ...key, ...headscale } };
    expect(await told(headscale)).toMatchObject({ join, others: {} });
    registered.length = 0;
    const { others, child } = await told({ ...headscale, apiStack: "storage" });
    expect(others).toEqual({ PROJECT_VMS_TAILNET_STACK: "storage" });
    expect(child("teardown")).toMatchObject({ environment: others });
  });

  test("is waited for again while it runs outside", async () => {
    const asked: unknown[] = [];
    const note = ({ environment }: { environment?: unknown }, opts: pulumi.CustomResourceOptions) =>
      void asked.push([opts.ignoreChanges, JSON.stringify(environment).includes("asOf"), opts.replacementTrigger]);
    const transform = { ready: note };
    const outside = anInventory({ domains: [aDomain({ name: "project-app" })] });
    const hosts = [
      inTailnet(),
      inTailnet({}, { marks: { tailnet: aNode(1) } }),
      inTailnet({}, { state: "shut off" }),
      new VmHost("storage", { settings, inventory: outside }),
      inTailnet({}, { state: "running" }),
    ];
    for (const host of hosts) await make({ transform }, host);
    const not = [["create", "environment"], false, undefined];
    expect(asked).toEqual([not, not, not, not, [[], true, undefined]]);
  });
});

describe("ProjectVm", () => {
  test("is waited for, and so started, when it was shut down to come up again; not when its user shut it off", async () => {
    const asked: unknown[] = [];
    const note = ({ environment }: { environment?: unknown }, { ignoreChanges }: pulumi.CustomResourceOptions) =>
      void asked.push([ignoreChanges, JSON.stringify(environment).includes("asOf")]);
    const off = { name: "project-app", state: "shut off" } as const;
    for (const found of [off, { ...off, marks: { starting: true } }]) {
      const inventory = anInventory({ domains: [aDomain(found)] });
      await make({ transform: { ready: note } }, new VmHost("storage", { settings, inventory }));
    }
    expect(asked).toEqual([
      [["create", "environment"], false],
      [[], true],
    ]);
  });

  test("each child is named after the component and its role, and has it as its parent", async () => {
    const { vm } = await make();
    const urns = await Promise.all(
      Object.values(vm.nodes).flatMap((child) => (child ? [resolved((child as pulumi.Resource).urn)] : [])),
    );
    expect(urns.map((urn) => urn.split("::").slice(2).join("::"))).toEqual([
      "project-vms:index:ProjectVm$libvirt:index/pool:Pool::app-pool",
      "project-vms:index:ProjectVm$command:local:Command::app-teardown",
      "project-vms:index:ProjectVm$libvirt:index/volume:Volume::app-rootDisk",
      "project-vms:index:ProjectVm$libvirt:index/volume:Volume::app-projectDisk",
      "project-vms:index:ProjectVm$libvirt:index/volume:Volume::app-seed",
      "project-vms:index:ProjectVm$libvirt:index/domain:Domain::app-domain",
      "project-vms:index:ProjectVm$command:local:Command::app-ready",
      "project-vms:index:ProjectVm$command:local:Command::app-settings",
    ]);
  });

  test("the domain is as the host's virtualization wants it, and marked with its owner", async () => {
    const { child } = await make({ memory: "16 GiB", cpus: 8 });
    expect(child("domain")).toMatchObject({
      name: "project-app",
      description: "project-vms stack teststack",
      type: "kvm",
      cpu: { mode: "host-passthrough" },
      memory: 16384,
      vcpu: 8,
      autostart: false,
      running: true,
      disks: [{ volumeId: "app-rootDisk-id" }, { volumeId: "app-projectDisk-id" }, { volumeId: "app-seed-id" }],
      networkInterfaces: [{ networkName: "project-vms", mac: macAddress("app"), waitForLease: false }],
    });
  });

  test("under emulation the CPU is the fullest that QEMU has", async () => {
    const emulated = new VmHost("raider", { settings, inventory: { ...emptyInventory, virtualization: "emulated" } });
    const { child } = await make({}, emulated);
    expect(child("domain")).toMatchObject({ type: "qemu", cpu: { mode: "maximum" } });
  });

  test("the root disk stands on the host's base image, the project disk on nothing", async () => {
    const { child } = await make({ disk: "100 GiB" });
    const root = { name: "disk.qcow2", pool: "project-app", baseVolumeId: "/vms/base/debian-testing-abc.qcow2" };
    expect(child("rootDisk")).toMatchObject({ ...root, size: 20 * 2 ** 30 });
    const disk = { name: "project.qcow2", pool: "project-app", format: "qcow2", size: 100 * 2 ** 30 };
    expect(child("projectDisk")).toEqual({ ...disk, xml: { xslt: qcow2Xslt } });
  });

  test("its volumes are closed when they are made, and that changes none that is there", async () => {
    const ignored: Record<string, string[] | undefined> = {};
    const note = (_args: object, opts: pulumi.CustomResourceOptions, name: string) => {
      ignored[name] = opts.ignoreChanges;
    };
    const { child } = await make({ transform: { rootDisk: note, projectDisk: note, seed: note } });
    for (const role of ["rootDisk", "projectDisk", "seed"] as const) {
      expect(child(role)).toMatchObject({ xml: { xslt: expect.stringContaining("<mode>0600</mode>") } });
      expect(ignored[`app-${role}`]).toContain("xml");
    }
  });

  test("what the wait for readiness found is an output, and it is done again when the domain or its root is another", async () => {
    const { vm, child } = await make();
    expect(child("ready")).toMatchObject({
      create: "exec node 'bin/entry.js' 'src/steps/wait-until-ready.ts'",
      environment: { PROJECT_VMS_READY: '{"uri":"qemu:///system","project":"app","virtualization":"kvm"}' },
    });
    expect(await resolved(vm.readiness)).toEqual(readiness);
    const before = child("ready").triggers;
    registered.length = 0;
    const { child: changed } = await make({ memory: "16 GiB" });
    expect(changed("ready").triggers).not.toEqual(before);
    registered.length = 0;
    const { child: rebuilt } = await make({ rebuild: "x" });
    expect(rebuilt("ready").triggers).not.toEqual(before);
  });

  test("its teardown alone takes it away, and knows whether its data stays", async () => {
    const { child } = await make({ keepData: false });
    expect(child("teardown")).toMatchObject({
      delete: "exec node 'bin/entry.js' 'src/steps/tear-down-vm.ts'",
      environment: {
        PROJECT_VMS_TEARDOWN:
          '{"uri":"qemu:///system","project":"app","owner":"teststack","storageDir":"/vms","keepData":false}',
      },
    });
  });

  test("no child is ever deleted by its provider, whatever is changed", async () => {
    const left: string[] = [];
    const note = (_args: object, opts: pulumi.CustomResourceOptions, name: string) => {
      if (!opts.retainOnDelete) left.push(name);
    };
    await make({ transform: { pool: note, rootDisk: note, projectDisk: note, seed: note, domain: note } });
    expect(left).toEqual([]);
  });

  test("sizes, autostart and the fate of its data are settings that no child is replaced for", async () => {
    const there = new VmHost("there", { settings, inventory: anInventory({ domains: [made] }) });
    const { child: first } = await make({}, there);
    const before = JSON.stringify(first("domain"));
    registered.length = 0;
    const { child } = await make({ disk: "100 GiB", rootDisk: "40 GiB", keepData: false }, there);
    expect(child("settings")).toMatchObject({
      environment: {
        PROJECT_VMS_SETTINGS: JSON.stringify({
          disk: 100 * 2 ** 30,
          rootDisk: 40 * 2 ** 30,
          autostart: false,
          keepData: false,
          filter: { rules: rulesDigest() },
        }),
      },
    });
    // Only the note in it differs, which does not count.
    expect(JSON.stringify(child("domain")).replace('keep=\\"no\\"', 'keep=\\"yes\\"')).toBe(before);
  });

  test("has no memory balloon, and one that is there is not redefined for that", async () => {
    const digests: unknown[] = [];
    const note = (_: object, opts: pulumi.CustomResourceOptions) => void digests.push(opts);
    const { child } = await make({ transform: { domain: note } });
    expect((child("domain").xml as { xslt: string }).xslt).toContain('<memballoon model="none"');
    const [{ replacementTrigger }] = digests as [{ replacementTrigger: string[] }];
    registered.length = 0;
    const marks = { definition: replacementTrigger[0] as string, instance: "first" };
    const there = anInventory({ domains: [{ ...made, marks }] });
    await make({ transform: { domain: note } }, new VmHost("there", { settings, inventory: there }));
    expect(digests[1]).toMatchObject({ ignoreChanges: expect.arrayContaining(["xml"]) });
  });

  test("on a network of ours has a filter, and a VM from before there were filters gets it without being redefined", async () => {
    const { child } = await make();
    expect(JSON.stringify(child("domain"))).toContain('filterref filter=\\"project-app\\"');
    const digests: unknown[] = [];
    const transform = {
      domain: (_: object, opts: pulumi.CustomResourceOptions) => void digests.push(opts.replacementTrigger),
    };
    const nics = [{ mac: macAddress("app"), type: "network", on: "project-vms" }];
    const bare = { ...made, devices: [{ disks: [], nics, others: [] }] };
    const networks = [{ name: "lan", uuid: "1", active: true, autostart: true }];
    const hosts = [
      new VmHost("there", { settings, inventory: anInventory({ domains: [made] }) }),
      new VmHost("before", { settings, inventory: anInventory({ domains: [bare] }) }),
    ];
    const filters: unknown[] = [];
    for (const there of hosts) {
      registered.length = 0;
      const { child } = await make({ transform }, there);
      const { environment } = child("settings") as { environment: Record<string, string> };
      const { filter } = JSON.parse(environment.PROJECT_VMS_SETTINGS ?? "");
      filters.push([filter, environment.PROJECT_VMS_LACKING]);
    }
    expect(digests[1]).toEqual(digests[0]);
    expect(filters).toEqual([
      [{ rules: rulesDigest() }, undefined],
      [{ rules: rulesDigest() }, expect.stringMatching(/^20\d\d-/)],
    ]);

    registered.length = 0;
    const lan = { ...settings, network: { kind: "existing", name: "lan" } } as const;
    const on = new VmHost("lan", { settings: lan, inventory: anInventory({ networks }) });
    const { child: unfiltered } = await make({}, on);
    expect(JSON.stringify([unfiltered("domain"), unfiltered("settings")])).not.toContain("filter");
  });

  test.each([
    ["as it is to be", made, [], false],
    ["whose autostart others switched on", { ...made, autostart: true }, [], true],
    [
      "that notes to let its data go, after a snapshot of before",
      { ...made, marks: { ...made.marks, keepData: false } },
      [],
      true,
    ],
    [
      "with a smaller disk than asked for, from a backup",
      made,
      [aVolume({ path: "/vms/app/project.qcow2", capacity: GiB })],
      true,
    ],
  ])(
    "a VM %s is brought to its settings, although they are those of the last update",
    async (_, domain, volumes, lacks) => {
      const pools = [aPool({ name: "project-app", path: "/vms/app", volumes })];
      const { child } = await make(
        {},
        new VmHost("there", { settings, inventory: anInventory({ domains: [domain], pools }) }),
      );
      const { environment } = child("settings") as { environment: Record<string, string> };
      expect(environment.PROJECT_VMS_LACKING !== undefined).toBe(lacks);
    },
  );

  test("a domain that is on the host is the one that was made; one that is not there is recreated, whatever the state says", async () => {
    const triggers: unknown[] = [];
    const transform = { domain: (_: object, opts: pulumi.CustomResourceOptions) => void noted.push(opts) };
    const noted: pulumi.CustomResourceOptions[] = [];
    for (const domains of [[made], [made], [], []]) {
      const { child } = await make(
        { transform },
        new VmHost("there", { settings, inventory: anInventory({ domains }) }),
      );
      const [opts] = noted.splice(0) as [pulumi.CustomResourceOptions];
      const instance = (opts.replacementTrigger as unknown[])[2];
      triggers.push(instance);
      expect(child("ready").triggers).toContain(instance);
      registered.length = 0;
    }
    expect(triggers.slice(0, 2)).toEqual(["first", "first"]);
    expect(new Set(triggers).size).toBe(3);
  });

  test("a kept disk is adopted in the size that it has; a VM notes that it is bigger than asked for, also when it is redefined", async () => {
    const disk = aVolume({ path: "/vms/app/project.qcow2", capacity: 50 * GiB });
    const adopted = { size: 50 * GiB, asked: 40 * GiB };
    const adopt = async (args: Partial<ProjectVmArgs>, domains: DomainFound[] = []) => {
      registered.length = 0;
      const pools = [aPool({ name: "project-app", path: "/vms/app", volumes: [disk] })];
      const { child } = await make(args, new VmHost("there", { settings, inventory: anInventory({ domains, pools }) }));
      const { size } = child("projectDisk");
      const mark = /<adopted [^>]*size="(\d+)" asked="(\d+)"/.exec((child("domain").xml as { xslt: string }).xslt);
      const { disk: wanted } = JSON.parse(
        (child("settings").environment as Record<string, string>)[settingsVariable] ?? "",
      );
      return { size, wanted, mark: mark?.slice(1).map(Number) };
    };
    expect(await adopt({ disk: "40 GiB" })).toEqual({ size: 50 * GiB, wanted: 40 * GiB, mark: Object.values(adopted) });
    expect(await adopt({ disk: "50 GiB" })).toEqual({ size: 50 * GiB, wanted: 50 * GiB });
    expect(await adopt({ disk: "60 GiB" })).toEqual({ size: 50 * GiB, wanted: 60 * GiB });
    const there = aDomain({ name: "project-app", marks: { adopted } });
    expect(await adopt({ disk: "40 GiB", memory: "2 GiB" }, [there])).toMatchObject({ mark: Object.values(adopted) });
    expect(await adopt({ disk: "40 GiB", memory: "2 GiB" }, [made])).toMatchObject({ mark: undefined });
  });

  describe("volumes that are gone from the host", () => {
    const volume = (name: string) => aVolume({ name, path: `/vms/app/${name}` });
    const seen: Record<string, { xslt: string; opts: pulumi.CustomResourceOptions; size: unknown }> = {};
    const note = (args: { xml?: unknown; size?: unknown }, opts: pulumi.CustomResourceOptions, name: string) => {
      seen[name.replace("app-", "")] = { xslt: (args.xml as { xslt: string }).xslt, opts, size: args.size };
    };
    const transform = { rootDisk: note, projectDisk: note, seed: note, domain: note };
    /** What is made of a VM whose pool has only these volumes; with the hooks that remove something. */
    async function update(volumes: string[], args: Partial<ProjectVmArgs> = {}, domains = [made]) {
      registered.length = 0;
      const pools = [aPool({ name: "project-app", path: "/vms/app", volumes: volumes.map(volume) })];
      const on = new VmHost("there", { settings, inventory: anInventory({ domains, pools }) });
      await make({ transform, ...args }, on);
      const { removeRootDisk, removeSeed, checkProjectDisk, adopt } = on.hooks;
      const hooks = (role: string) => seen[role]?.opts.hooks?.beforeCreate ?? [];
      return {
        again: Object.keys(seen).filter((role) => seen[role]?.xslt.includes("<!-- ")),
        removed: [hooks("rootDisk").includes(removeRootDisk), hooks("seed").includes(removeSeed)],
        onProjectDisk: hooks("projectDisk").filter((hook) => ![checkProjectDisk, adopt].includes(hook as never)),
        instance: (seen.domain?.opts.replacementTrigger as unknown[] | undefined)?.[2],
      };
    }
    const [root, disk, seed] = ["disk.qcow2", "project.qcow2", "seed.iso"] as const;

    test("are made again, a root disk with its seed and its VM; nothing is removed for a root disk", async () => {
      const none = { again: [], removed: [false, false], onProjectDisk: [] };
      expect(await update([root, disk, seed])).toEqual({ ...none, instance: "first" });
      expect(await update([root, disk])).toEqual({ ...none, again: ["seed"], instance: "first" });
      for (const volumes of [[disk], [disk, seed]]) {
        const { instance, ...rest } = await update(volumes);
        expect(rest).toEqual({ ...none, again: ["rootDisk", "seed"], removed: [false, true] });
        expect(instance).not.toBe("first");
      }
      expect(await update([seed])).toEqual({ ...none, instance: "first" });
      expect(await update([])).toEqual({ ...none, instance: "first" });
      expect(await update([disk], {}, [])).toMatchObject({ again: ["rootDisk", "seed"], removed: [false, false] });
    });

    test("one that is there is left as it is by the engine, whatever differs; one that is made again is not deleted first", async () => {
      await update([root, disk, seed]);
      expect(["rootDisk", "seed"].map((role) => seen[role]?.opts.ignoreChanges)).toEqual([
        ["baseVolumeId", "size", "xml"],
        ["source", "xml"],
      ]);
      await update([disk]);
      for (const role of ["rootDisk", "seed"]) {
        expect(seen[role]?.opts).toMatchObject({ deleteBeforeReplace: false, retainOnDelete: true });
        expect(seen[role]?.opts.ignoreChanges).toBeUndefined();
      }
    });

    test("no project disk is ever made again, made smaller, removed or replaced, whatever is gone and whatever is asked for", async () => {
      const updates: [Partial<ProjectVmArgs>, DomainFound[]][] = [
        [{}, []],
        [{ disk: "40 GiB" }, []],
        [{ disk: "60 GiB", rebuild: "x" }, [made]],
        [{ keepData: false, rootDisk: "30 GiB" }, [made]],
      ];
      for (const volumes of [[root, disk, seed], [disk], [seed], []])
        for (const [args, domains] of updates) {
          const { again, onProjectDisk, removed } = await update(volumes, args, domains);
          const { opts, size } = seen.projectDisk ?? expect.unreachable();
          expect([again.includes("projectDisk"), onProjectDisk]).toEqual([false, []]);
          expect(opts).toMatchObject({ retainOnDelete: true, ignoreChanges: ["size", "format", "xml"] });
          expect([opts.replacementTrigger, opts.replaceOnChanges, opts.import]).toEqual([
            undefined,
            undefined,
            undefined,
          ]);
          if (volumes.includes(disk)) expect(size).toBe(50 * GiB);
          // Only another text in `rebuild` gives a root disk up.
          expect(removed[0]).toBe("rebuild" in args && domains.length > 0);
        }
    }, 120_000);
  });

  test("a VM on an overlay, or with saved memory, is refused where the update would work on it, and left alone where it would not", () => {
    const overlay = devicesWith({ vdb: "/vms/webapp/project.s1" });
    const volumes = [
      aVolume(),
      aVolume({ name: "disk.qcow2", path: "/vms/webapp/disk.qcow2", capacity: 20 * 2 ** 30 }),
    ];
    const pools = [aPool({ volumes })];
    let trigger: unknown;
    // Under another name than the other tests': what is refused is registered half.
    const update = (found: DomainFound, args: Partial<ProjectVmArgs>) => {
      const on = new VmHost("there", { settings, inventory: anInventory({ domains: [found], pools }) });
      const domain = (_: object, opts: pulumi.CustomResourceOptions) => {
        trigger = opts;
      };
      return new ProjectVm("webapp", { host: on, sshKeys, transform: { domain }, ...args });
    };
    update(aDomain(), {});
    const [definition, root] = (trigger as pulumi.CustomResourceOptions).replacementTrigger as [string, string];
    const same = aDomain({
      devices: [overlay],
      description: "project-vms stack teststack",
      marks: { definition, root },
    });
    expect(() => update(same, {})).not.toThrow();
    const refusal = "project-webapp: must have /vms/webapp/project.qcow2 as vdb, but has /vms/webapp/project.s1";
    const edits: Partial<ProjectVmArgs>[] = [
      { memory: "2 GiB" },
      { rebuild: "x" },
      { disk: "60 GiB" },
      { rootDisk: "30 GiB" },
    ];
    for (const args of edits) expect(() => update(same, args)).toThrow(refusal);
    const saved = { ...same, devices: [], hasSavedMemory: true };
    expect(() => update(saved, {})).not.toThrow();
    for (const args of edits) expect(() => update(saved, args)).toThrow("must not have saved memory");
  });

  test("an interface on a network of ours that no filter holds is named, and refused where the VM is worked on and keeps it", () => {
    const networks = [
      { name: "n", uuid: "1", active: true, autostart: true, dnsDomain: "teststack.project-vms.internal" },
    ];
    const pools = [
      aPool({
        volumes: [aVolume(), aVolume({ name: "disk.qcow2", path: "/vms/webapp/disk.qcow2", capacity: 20 * GiB })],
      }),
    ];
    const seen: pulumi.CustomResourceOptions[] = [];
    const update = (found: DomainFound, args: Partial<ProjectVmArgs>) => {
      const on = new VmHost("there", { settings, inventory: anInventory({ domains: [found], pools, networks }) });
      return new ProjectVm("webapp", { host: on, sshKeys, ...args });
    };
    update(aDomain(), { transform: { domain: (_, opts) => void seen.push(opts) } });
    const [definition = "", root = ""] = (seen[0]?.replacementTrigger ?? []) as string[];
    const { nics, ...rest } = devicesWith();
    const stray = { mac: "52:54:00:00:00:99", type: "network", on: "n" };
    const devices = [{ ...rest, nics: [...nics, stray] }];
    const found = aDomain({ devices, description: "project-vms stack teststack", marks: { definition, root } });
    const lines = vi.spyOn(console, "warn").mockImplementation(() => {});
    update(found, {});
    const said = lines.mock.calls.map(String);
    lines.mockRestore();
    const rule = "project-webapp: must have no interface on n that no network filter holds, but has 52:54:00:00:00:99";
    expect(said.filter((line) => line.includes(rule))).toHaveLength(1);
    expect(() => update(found, { disk: "60 GiB" })).toThrow(rule);
    expect(() => update(found, { memory: "2 GiB" })).not.toThrow();
    expect(() => update(found, { disk: "60 GiB", transform: { domain: () => {} } })).not.toThrow();
  });

  test("what was added to a VM by hand is named before a new definition drops it; what a transform makes is no hand's work", () => {
    const nics = [{ mac: "52:54:00:aa:bb:cc", type: "network", on: "lan" }];
    const found = aDomain({
      description: "project-vms stack teststack",
      devices: [{ disks: [], nics, others: ["serial"] }],
    });
    const lines = vi.spyOn(console, "log").mockImplementation(() => {});
    const on = new VmHost("there", { settings, inventory: anInventory({ domains: [found] }) });
    const update = (transform: NonNullable<ProjectVmArgs["transform"]>) =>
      new ProjectVm("webapp", { host: on, sshKeys, transform });
    update({ pool: () => {} });
    update({ domain: () => {} });
    update({
      domain: (args) => {
        const { xslt } = args.xml as { xslt: string };
        const nic = "<xsl:copy><interface><mac address='52:54:00:AA:BB:CC'/></interface></xsl:copy>";
        const template = `<xsl:template match="/domain/nothing">${nic}</xsl:template>`;
        args.xml = { xslt: xslt.replace("</xsl:stylesheet>", `${template}</xsl:stylesheet>`) };
      },
    });
    const said = lines.mock.calls.map(([line]) => /(may )?DROP.*serial/.exec(String(line))?.[0]);
    lines.mockRestore();
    const added = "interface 52:54:00:aa:bb:cc on lan, serial";
    expect(said).toEqual([
      `DROPS what was added by hand: ${added}`,
      `may DROP what was added by hand, if its transform does not make it: ${added}`,
      // Of the serial consoles, the definition makes one without any transform.
      "may DROP what was added by hand, if its transform does not make it: serial",
    ]);
  });

  test("the command line is given a record of what changes, and the resources are the same", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const printed = vi.spyOn(console, "log").mockImplementation(() => {});
    const on = new VmHost("records", { settings, inventory: anInventory({ domains: [made] }) });
    const resources = async () => {
      registered.length = 0;
      await make({}, on);
      // A pool has another stylesheet each time.
      return registered.filter(({ name }) => name.startsWith("app-") && name !== "app-pool");
    };
    const plain = structuredClone(await resources());
    vi.stubEnv(recordsVariable, "1");
    const recorded = await resources();
    vi.unstubAllEnvs();
    const lines = printed.mock.calls.map(([line]) => String(line).replace("info: [runtime] ", ""));
    printed.mockRestore();
    vi.useRealTimers();
    expect(recorded).toEqual(plain);
    const [sentence, record] = lines.filter((line) => line.includes("restart"));
    expect(decode(sentence ?? "")).toBeUndefined();
    expect(decode(record ?? "")).toEqual({ project: "app", kind: "changed", text: sentence?.slice("app: ".length) });
  });

  test("a VM that is not to run is not waited for", async () => {
    const { vm, child } = await make({ running: false });
    expect(child("domain")).toMatchObject({ running: false });
    expect(vm.nodes.ready).toBeUndefined();
    expect(await resolved(vm.readiness)).toBeUndefined();
  });

  test("every child passes through its transform", async () => {
    const seen: string[] = [];
    const note = (_args: object, opts: pulumi.CustomResourceOptions, name: string) => {
      seen.push(`${name}${opts.parent ? "" : " without parent"}`);
    };
    const { child } = await make({
      backup: { every: "1d", keep: 7 },
      transform: {
        pool: note,
        teardown: note,
        rootDisk: note,
        projectDisk: note,
        seed: note,
        ready: note,
        settings: note,
        backup: note,
        domain: (args, opts, name) => {
          note(args, opts, name);
          args.machine = "q35";
        },
      },
    });
    const roles = ["pool", "teardown", "rootDisk", "projectDisk", "seed", "domain", "ready", "settings", "backup"];
    expect(seen).toEqual(roles.map((role) => `app-${role}`));
    expect(child("domain")).toMatchObject({ machine: "q35", memory: 8192 });
  });

  test("a name and sizes that cannot be are refused together, before anything is made", () => {
    const before = registered.length;
    const make = () => new ProjectVm("My_App", { host, sshKeys, memory: "0 GiB", cpus: 1.5 });
    expect(make).toThrow(UserError);
    expect(make).toThrow(
      [
        "ProjectVm My_App cannot be made.",
        "  - ProjectVm My_App: name: is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end",
        "    write `my-app`",
        '  - ProjectVm My_App: memory: must be more than zero, but is "0 GiB"',
        "    write a size such as `8 GiB`",
        "  - ProjectVm My_App: cpus: must be a whole number, but is 1.5",
        "    write a whole number without quotes, e.g. `4`",
      ].join("\n"),
    );
    expect(registered.slice(before).filter(({ name }) => name.startsWith("My_App-"))).toEqual([]);
  });
});
