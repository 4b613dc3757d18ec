import { beforeEach, expect, test, vi } from "vitest";
import { domainUuid } from "../../../src/core/names.ts";
import { lookAtVms } from "../../../src/operations/look-at-vms.ts";
import { anOutline } from "./samples.ts";

let domains: Record<string, { uuid: string; disks: string[] }>;
const asked: string[] = [];

vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  withVirshSession: (_: string, use: (ask: (batch: string[][]) => unknown) => unknown) =>
    use(async (batch) => batch.map((command) => ({ command, ok: true, output: answer(command), error: "" }))),
}));

/** As virsh says it of domains that are all of the stack `storage`, by their marks. */
function answer([verb = "", name = ""]: string[]): string {
  asked.push([verb, name].join(" "));
  if (verb === "desc") return "project-vms stack storage";
  if (verb === "domuuid") return domains[name]?.uuid ?? "";
  if (verb !== "domstats") return "";
  return Object.entries(domains)
    .map(([domain, { disks }]) =>
      [
        `Domain: '${domain}'`,
        "  state.state=1",
        `  block.count=${disks.length}`,
        ...disks.flatMap((disk, i) => [`  block.${i}.name=vd${i}`, ...(disk ? [`  block.${i}.path=${disk}`] : [])]),
      ].join("\n"),
    )
    .join("\n\n");
}

beforeEach(() => {
  asked.length = 0;
});

test("a copy that virt-manager made is no VM of the stack; the UUID is asked of what may be one alone", async () => {
  domains = {
    "project-webapp": { uuid: domainUuid("webapp"), disks: ["/vms/webapp/project.qcow2"] },
    "project-moved": { uuid: domainUuid("moved"), disks: ["/elsewhere/disk.qcow2"] },
    "project-webapp-clone": { uuid: "2b7d", disks: ["/vms/webapp/project-clone.qcow2"] },
  };
  const { vms } = await lookAtVms(anOutline().host);
  expect(Object.fromEntries(vms.map(({ name, stack }) => [name, stack]))).toEqual({
    webapp: "storage",
    moved: "storage",
    "webapp-clone": undefined,
  });
  expect(asked.filter((words) => words.startsWith("domuuid"))).toEqual([
    "domuuid project-moved",
    "domuuid project-webapp-clone",
  ]);
});

test("a VM of an earlier version that is off, with its disks named as volumes, is the stack's: their paths are not told", async () => {
  domains = { "project-webapp": { uuid: "2b7d0c6e-0000-4000-8000-000000000001", disks: ["", "", ""] } };
  const { vms } = await lookAtVms(anOutline().host);
  expect(vms.map(({ name, stack }) => [name, stack])).toEqual([["webapp", "storage"]]);
});
