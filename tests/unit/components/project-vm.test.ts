import type * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, test } from "vitest";
import { ProjectVm, type ProjectVmArgs } from "../../../components/project-vm.ts";
import { VmHost } from "../../../components/vm-host.ts";
import { UserError } from "../../../config/errors.ts";
import { macAddress } from "../../../config/names.ts";
import { emptyInventory, readiness, registered, resolved, settings } from "./stack.ts";

const sshKeys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII me"];
let host: VmHost;

beforeEach(() => {
  registered.length = 0;
  host = new VmHost("storage", { settings, inventory: emptyInventory });
});

/** Makes a VM, waits until all of it is registered, and gives its resources by their role. */
async function make(args: Partial<ProjectVmArgs> = {}, on = host) {
  const vm = new ProjectVm("app", { host: on, sshKeys, ...args });
  const { ready, ...others } = vm.nodes;
  await Promise.all([...Object.values(others), ...(ready ? [ready] : [])].map((child) => resolved(child.urn)));
  await resolved(vm.readiness);
  const child = (role: string) => registered.find(({ name }) => name === `app-${role}`)?.inputs ?? {};
  return { vm, child };
}

describe("ProjectVm", () => {
  test("each child is named after the component and its role, and has it as its parent", async () => {
    const { vm } = await make();
    const urns = await Promise.all(Object.values(vm.nodes).map((child) => resolved((child as pulumi.Resource).urn)));
    expect(urns.map((urn) => urn.split("::").slice(2).join("::"))).toEqual([
      "project-vms:index:ProjectVm$libvirt:index/pool:Pool::app-pool",
      "project-vms:index:ProjectVm$libvirt:index/volume:Volume::app-rootDisk",
      "project-vms:index:ProjectVm$libvirt:index/volume:Volume::app-projectDisk",
      "project-vms:index:ProjectVm$libvirt:index/volume:Volume::app-seed",
      "project-vms:index:ProjectVm$libvirt:index/domain:Domain::app-domain",
      "project-vms:index:ProjectVm$command:local:Command::app-ready",
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
    expect(child("projectDisk")).toEqual({
      name: "project.qcow2",
      pool: "project-app",
      format: "qcow2",
      size: 100 * 2 ** 30,
    });
  });

  test("the wait for readiness is the shutdown on removal, and what it found is an output", async () => {
    const { vm, child } = await make();
    expect(child("ready")).toMatchObject({
      create: "node --import tsx/esm 'guest/wait-until-ready.ts'",
      delete: "node --import tsx/esm 'guest/shut-down.ts'",
      environment: { PROJECT_VMS_URI: "qemu:///system", PROJECT_VMS_PROJECT: "app", PROJECT_VMS_VIRTUALIZATION: "kvm" },
      triggers: ["app-domain-id"],
    });
    expect(await resolved(vm.readiness)).toEqual(readiness);
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
      transform: {
        pool: note,
        rootDisk: note,
        projectDisk: note,
        seed: note,
        ready: note,
        domain: (args, opts, name) => {
          note(args, opts, name);
          args.machine = "q35";
        },
      },
    });
    expect(seen).toEqual(["app-pool", "app-rootDisk", "app-projectDisk", "app-seed", "app-domain", "app-ready"]);
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
