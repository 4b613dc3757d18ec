import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { Stack } from "../../../cli/stack.ts";
import { parseStackConfig } from "../../../config/parse.ts";
import { GiB } from "../../../config/sizes.ts";
import { examineOrphans } from "../../../daily/doctor/engine.ts";
import { failure, isWell, ok, warning } from "../../../daily/doctor/finding.ts";
import { examineHost, examineState } from "../../../daily/doctor/host.ts";
import type { Inventory, NetworkFound } from "../../../host/inventory.ts";
import type { Virsh } from "../../../host/virsh.ts";
import { aDomain, anInventory, aPool, aVolume } from "../found.ts";

const host = {
  uri: "qemu:///system",
  storageDir: "/vms",
  network: { kind: "managed", name: "project-vms", cidr: "10.77.0.0/24" },
  virtualization: "auto",
} as const;
const projects = '{"webapp":{"memory":"8 GiB","disk":"50 GiB","rootDisk":"20 GiB"}}';
const stack: Stack = {
  name: "storage",
  root: "/checkout",
  file: "Pulumi.storage.yaml",
  config: parseStackConfig({ "project-vms:projects": projects }, "Pulumi.storage.yaml"),
  host: { settings: host, ssh: {} },
};
const network = (found: Partial<NetworkFound> = {}): NetworkFound => ({
  name: "project-vms",
  uuid: "1",
  active: true,
  autostart: true,
  dnsDomain: "storage.project-vms.internal",
  cidr: "10.77.0.0/24",
  ...found,
});
const storage = { path: "/vms", capacity: 500 * GiB, available: 400 * GiB, writable: true };
const volumes = [aVolume(), aVolume({ name: "disk.qcow2", path: "/vms/webapp/disk.qcow2", capacity: 20 * GiB })];
const well = { storage, networks: [network()], pools: [aPool({ volumes })], domains: [aDomain()] };

/** What is found of a host, but for what is well; and the commands that would mend it. */
async function ills(found: Partial<Inventory>) {
  const commands: string[][] = [];
  const virsh: Virsh = {
    run: async (...args) => {
      commands.push(args);
      return "";
    },
    runPrivately: async () => "",
  };
  const all = examineHost(stack, anInventory({ ...well, ...found }), virsh).filter(({ level }) => level !== "ok");
  for (const { mend } of all) await mend?.();
  return { said: all.map(({ level, check, says }) => `${level} ${check}: ${says}`), commands };
}

describe("a host", () => {
  test("in order has nothing to be said against it", async () => {
    expect(await ills({})).toEqual({ said: [], commands: [] });
  });

  test("with a stopped network is mended by starting it", async () => {
    expect(await ills({ networks: [network({ active: false })] })).toEqual({
      said: ["failure network: project-vms is stopped: no VM on it can be started"],
      commands: [["net-start", "project-vms"]],
    });
  });

  test("whose network does not start with it is mended by having it do so", async () => {
    expect(await ills({ networks: [network({ autostart: false })] })).toEqual({
      said: ["warning network: project-vms is up, but not after the host's next start"],
      commands: [["net-autostart", "project-vms"]],
    });
  });

  test("with a stopped pool of a project is mended by starting it", async () => {
    expect(await ills({ pools: [aPool({ active: false })] })).toEqual({
      said: ["failure pools: project-webapp (/vms/webapp) is not active"],
      commands: [["pool-start", "project-webapp"]],
    });
  });

  test("that has less than was promised is warned of, one that is full fails", async () => {
    const little = await ills({ storage: { ...storage, available: 20 * GiB }, memory: 8 * GiB });
    expect(little.said).toEqual([
      "warning disk space: 20 GiB of 500 GiB are free in /vms; 6 GiB used by disks and images, 70 GiB promised, which is more than there is",
    ]);
    const full = await ills({ storage: { ...storage, available: 1 * GiB } });
    expect(full.said).toEqual([expect.stringMatching(/^failure disk space: 1 GiB of 500 GiB are free/)]);
    expect((await ills({ memory: 6 * GiB })).said).toEqual([
      "warning memory: 8 GiB promised of 6 GiB: not all VMs can run at once",
      expect.stringMatching(/^failure config: Pulumi\.storage\.yaml: projects\.webapp\.memory: must be at most 6 GiB/),
    ]);
  });
});

describe("the state", () => {
  const examined = (inState: string[] | undefined, domains = [aDomain()]) => {
    const { level, says } = examineState(stack, anInventory({ domains }), inState);
    return `${level}: ${says}`;
  };

  test.each<[string[] | undefined, string]>([
    [["webapp"], "ok: it has 1 VMs, all on the host"],
    [undefined, "warning: there is none here, and 1 VMs are on the host"],
    [["webapp", "api"], "failure: it has api, which the host has not: removed there by other means"],
  ])("of %j", (inState, said) => {
    expect(examined(inState)).toBe(said);
  });

  test("of nothing, where there is nothing", () => {
    expect(examined(undefined, [aDomain({ description: "project-vms stack local" })])).toBe(
      "ok: there is none yet, and no VM",
    );
  });
});

test("warnings are no illness, failures are until they are mended", () => {
  const failed = failure("a", "b", "c", async () => undefined);
  expect(isWell([ok("a", "b"), warning("a", "b", "c")])).toBe(true);
  expect(isWell([ok("a", "b"), failed])).toBe(false);
  expect(isWell([{ ...failed, fix: "fixed" }])).toBe(true);
});

test("plugin processes that were left behind are named, and ended when they shall be", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "toolchains-"));
  try {
    const plugin = path.join(folder, "pulumi-resource-test");
    copyFileSync("/bin/sleep", plugin);
    // A shell that ends at once, so that its child has nobody.
    const pid = Number(execFileSync("sh", ["-c", '"$0" 60 >&- 2>&- & echo $!', plugin]));
    const found = await vi.waitFor(() => {
      const examined = examineOrphans(folder);
      expect(examined.level).toBe("warning");
      return examined;
    });
    expect(found.says).toBe(`1 were left behind by engines that are gone (${pid})`);
    await found.mend?.();
    await vi.waitFor(() => expect(examineOrphans(folder).level).toBe("ok"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
