import { writeFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { ProjectVm } from "../../components/project-vm.ts";
import { VmHost } from "../../components/vm-host.ts";
import { takeInventory } from "../../src/libvirt/inventory.ts";
import type { ProgramRequest, ProgramTimes } from "./request.ts";

const loaded = Date.now();
const request = JSON.parse(process.env.PROJECT_VMS_BENCH ?? "") as ProgramRequest;

/** The VMs that the bench asks for, on its host, by the product's own components. */
export default async () => {
  const inventory = await takeInventory(request.settings);
  const looked = Date.now();
  process.once("exit", () => {
    const times: ProgramTimes = { started: performance.timeOrigin, loaded, looked, ended: Date.now() };
    writeFileSync(request.timesFile, JSON.stringify(times));
  });
  const host = new VmHost(pulumi.getStack(), { settings: request.settings, image: request.image, inventory });
  const vms = request.vms.map((name) => new ProjectVm(name, { host, ...request.vm }));
  return { readiness: pulumi.all(vms.map((vm) => vm.readiness)) };
};
