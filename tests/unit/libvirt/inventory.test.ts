import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { takeInventory } from "../../../src/libvirt/inventory.ts";
import { firmwaresIn, parseHypervisorVersion, parseMemory } from "../../../src/libvirt/inventory-text.ts";
import { parseVolumes } from "../../../src/libvirt/pool-volumes.ts";
import { localStorage, poolStorage } from "../../../src/libvirt/storage.ts";
import { isVolumeGone } from "../../../src/libvirt/virsh-answers.ts";

test("memory as nodeinfo prints it, in bytes", () => {
  const nodeinfo = `CPU model:           x86_64
CPU(s):              2
CPU frequency:       2596 MHz
Memory size:         13854936 KiB`;
  expect(parseMemory(nodeinfo)).toBe(13854936 * 1024);
});

test.each([
  ["<enum name='firmware'>\n  <value>efi</value>\n</enum>", ["bios", "uefi"]],
  ["<enum name='firmware'/>\n<loader supported='yes'>\n<value>/usr/share/OVMF/OVMF_CODE.fd</value>", ["bios"]],
  ["", ["bios"]],
])("by the capabilities %j, a VM can boot by %j", (printed, firmwares) => {
  expect(firmwaresIn(printed)).toEqual(firmwares);
});

test.each([
  ["Using library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.22", "QEMU 7.2.22"],
  ["Using API: QEMU 9.0.0", "unknown"],
])("the hypervisor's version in %j is %s", (printed, version) => {
  expect(parseHypervisorVersion(printed)).toBe(version);
});

test("names of volumes, with blanks in names and folders", () => {
  const printed = ` disk.qcow2      /vms/a b/disk.qcow2
 my  disk.raw    /vms/a b/my  disk.raw`;
  expect([...parseVolumes(printed).keys()]).toEqual(["disk.qcow2", "my  disk.raw"]);
  expect([...parseVolumes("").keys()]).toEqual([]);
});

describe("storage on this machine", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "storage-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  test("of a folder that is not there yet is that of the nearest one above", async () => {
    const folder = path.join(dir, "not/there/yet");
    const found = await localStorage(folder);
    expect(found).toMatchObject({ path: folder, writable: true });
    expect(found?.capacity).toBeGreaterThan(found?.available ?? 0);
    expect(found?.available).toBeGreaterThan(0);
  });

  test.each(["file", "file/below"])("%s, where `file` is a file, is a problem", async (name) => {
    await writeFile(path.join(dir, "file"), "");
    await expect(localStorage(path.join(dir, name))).resolves.toMatchObject({
      writable: false,
      problem: `${dir}/file is not a directory`,
    });
  });
});

describe("storage elsewhere", () => {
  const pool = { name: "project-a", path: "/vms/a", active: true, capacity: 100, available: 10 };
  const base = { ...pool, name: "project-vms-base", path: "/vms/base", available: 20 };

  test("is what the base images' pool says, or another one in the folder", () => {
    expect(poolStorage("/vms", [pool, base])).toEqual({ path: "/vms", capacity: 100, available: 20, writable: true });
    expect(poolStorage("/vms", [pool])?.available).toBe(10);
  });

  test("is not known without an active pool in the folder", () => {
    expect(
      poolStorage("/vms", [
        { ...base, active: false },
        { ...pool, path: "/vms2/a" },
      ]),
    ).toBeUndefined();
  });
});

describe.skipIf(!existsSync("/usr/bin/virsh"))("a real virsh", () => {
  test("an inventory of libvirt's own mock", async () => {
    const found = await takeInventory({ uri: "test:///default", storageDir: "/tmp/none/yet", virtualization: "auto" });
    expect(found).toMatchObject({ uri: "test:///default", memory: totalmem(), cpus: 16, virtualization: "emulated" });
    expect(found.domains).toEqual([
      {
        name: "test",
        uuid: "6695eb01-f6a4-8304-79aa-97f2502e193f",
        state: "running",
        autostart: false,
        type: "test",
        memory: 8 * 2 ** 30,
        cpus: 2,
        firmware: "bios",
        network: "default",
        marks: {},
        diskPaths: ["/guest/diskimage1"],
        devices: expect.any(Array),
      },
    ]);
    expect(found.networks).toMatchObject([{ name: "default", active: true, cidr: "192.168.122.0/24" }]);
    expect(found.pools).toMatchObject([{ name: "default-pool", type: "dir", path: "/default-pool", volumes: [] }]);
  });

  test("a domain has its devices, as it runs and as it is defined; one that is off has one view", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "node-"));
    const domain = (name: string, runstate: number) =>
      `<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>${name}</name><uuid>${randomUUID()}</uuid><memory>1024</memory><os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/vms/${name}.s1'/><target dev='vdb' bus='virtio'/></disk></devices><test:runstate>${runstate}</test:runstate></domain>`;
    const domains = [domain("project-on", 1), domain("project-off", 5), domain("other", 1)];
    await writeFile(path.join(dir, "node.xml"), `<node>${domains.join("")}</node>`);
    const uri = `test://${dir}/node.xml`;
    const found = await takeInventory({ uri, storageDir: "/tmp/none/yet", virtualization: "auto" });
    await rm(dir, { recursive: true });
    const views = (name: string) => found.domains.find((one) => one.name === name)?.devices;
    const view = (name: string) => ({
      disks: [{ target: "vdb", source: `/vms/${name}.s1`, format: "", chain: [] }],
      nics: [],
      others: [],
    });
    expect(views("project-on")).toEqual([view("project-on"), view("project-on")]);
    expect(views("project-off")).toEqual([view("project-off")]);
    expect(views("other")).toEqual([view("other"), view("other")]);
  });

  test("a volume that is listed and not described is unread, unless libvirt says that just it is gone", async () => {
    const answer = (error: string) => ({ command: ["vol-dumpxml"], ok: false, output: "", error });
    const isGone = (error: string) => isVolumeGone(answer(error), "disk.qcow2");
    expect(isGone("Storage volume not found: no storage vol with matching path '/vms/a b/disk.qcow2'")).toBe(true);
    expect(isGone("failed to get vol 'disk.qcow2', specifying --pool might help")).toBe(true);
    expect(isGone("Storage volume not found: no storage vol with matching path '/vms/base/image.qcow2'")).toBe(false);
    expect(isGone("failed to get vol 'disk.qcow2'\nstorage pool 'project-app' is not active")).toBe(false);
    expect(isGone("cannot open file '/vms/a/disk.qcow2': Permission denied")).toBe(false);
    expect(isGone("End of file while reading data: Input/output error")).toBe(false);
  });

  describe("what was listed, and then", () => {
    let dir: string;
    beforeEach(async () => {
      dir = await mkdtemp(path.join(tmpdir(), "virsh-"));
      vi.stubEnv("OTHERS", process.env.PATH ?? "");
      vi.stubEnv("PATH", `${dir}:${process.env.PATH}`);
    });
    afterEach(async () => {
      vi.unstubAllEnvs();
      await rm(dir, { recursive: true });
    });

    /** What a look finds when libvirt is asked something else in place of one question. */
    async function lookWith(verb: string, instead: string, uri = "test:///default") {
      const program = `#!/usr/bin/env node
const { spawnSync } = require("node:child_process");
const args = process.argv.slice(2).map((arg) => arg.replaceAll(/; ${verb} [^;]*;/g, "; ${instead};"));
process.exitCode = spawnSync("virsh", args, { stdio: "inherit", env: { ...process.env, PATH: process.env.OTHERS } }).status;
`;
      await writeFile(path.join(dir, "virsh"), program, { mode: 0o755 });
      return takeInventory({ uri, storageDir: "/", virtualization: "emulated" });
    }

    test.each([
      ["domains", "dumpxml"],
      ["networks", "net-dumpxml"],
      ["pools", "pool-dumpxml"],
    ] as const)("is gone, is not there: %s", async (kind, verb) => {
      const found = await lookWith(verb, `${verb} 1b0b7a3f-0000-4000-8000-000000000000`);
      expect(found[kind]).toEqual([]);
    });

    test("cannot be asked, is not taken for gone: one volume of many", async () => {
      const volume = "<volume type='file'><name>disk.qcow2</name><capacity>1</capacity></volume>";
      const pool = `<pool type='dir'><name>project-app</name><uuid>${randomUUID()}</uuid><target><path>/vms/app</path></target>${volume}</pool>`;
      const domain =
        "<domain type='test'><name>test</name><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid><memory>1</memory><os><type>hvm</type></os></domain>";
      await writeFile(path.join(dir, "node.xml"), `<node>${domain}${pool}</node>`);
      const poolAfter = async (instead: string) => {
        const { pools } = await lookWith("vol-dumpxml", instead, `test://${dir}/node.xml`);
        return [pools[0]?.volumes.map(({ name }) => name), pools[0]?.unread];
      };
      expect(await poolAfter("vol-dumpxml --pool project-app disk.qcow2")).toEqual([["disk.qcow2"], undefined]);
      // A pool that is asked for another volume says that of that one, which is no word on this one.
      expect(await poolAfter("vol-dumpxml --pool project-app other.qcow2")).toEqual([[], ["disk.qcow2"]]);
    });

    test("is stopped, is not taken for an empty pool that runs", async () => {
      const pool = `<pool type='dir'><name>project-app</name><uuid>${randomUUID()}</uuid><target><path>/vms/app</path></target><volume type='file'><name>project.qcow2</name><capacity>1</capacity></volume></pool>`;
      await writeFile(path.join(dir, "node.xml"), `<node>${pool}</node>`);
      const { pools } = await lookWith(
        "vol-list",
        "pool-destroy project-app; vol-list project-app",
        `test://${dir}/node.xml`,
      );
      expect(pools).toMatchObject([{ name: "project-app", active: false, volumes: [] }]);
    });

    test.each(["dumpxml", "vol-list", "vol-dumpxml"])(
      "has no answer for a lost connection, is not taken for gone: %s",
      async (verb) => {
        const lost = "Disconnected from test:///default due to end of file";
        const pool = `<pool type='dir'><name>project-app</name><uuid>${randomUUID()}</uuid><target><path>/vms/app</path></target><volume type='file'><name>disk.qcow2</name><capacity>1</capacity></volume></pool>`;
        const domain = `<domain type='test'><name>test</name><uuid>${randomUUID()}</uuid><memory>1</memory><os><type>hvm</type></os></domain>`;
        await writeFile(path.join(dir, "node.xml"), `<node>${domain}${pool}</node>`);
        const looking = lookWith(verb, `echo --err '${lost}'; ${verb} nosuch`, `test://${dir}/node.xml`);
        await expect(looking).rejects.toThrow(`must be answered by the host's libvirt (${lost}; failed to get`);
      },
    );

    test.each(["dumpxml", "net-dumpxml", "pool-dumpxml", "vol-list"])(
      "cannot be asked, is not taken for gone: %s",
      async (verb) => {
        // Whatever fails for another reason: the mock cannot wake a guest.
        const error = await lookWith(verb, "dompmwakeup test").catch((caught) => caught);
        expect(error).toBeInstanceOf(UserError);
        expect(error.message).toMatch(
          new RegExp(
            `^Nothing was changed: what there is on the host is not known\\.\n  - virsh ${verb} \\S+: must be answered by the host's libvirt \\(.*not supported.*\\)\n    look at libvirt there, then give the same command again$`,
          ),
        );
      },
    );
  });

  test("a host that is not reachable is the user's matter: URI, reason, remedy, within seconds", async () => {
    const uri = "qemu+unix:///system?socket=/var/lib/project-vms/none/run/libvirt/libvirt-sock";
    const error = await takeInventory({ uri, storageDir: "/vms", virtualization: "auto" }).catch((caught) => caught);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toBe(
      [
        `The libvirt host ${uri} does not answer.`,
        `  - host.uri: must lead to a libvirt that answers (Failed to connect socket to '/var/lib/project-vms/none/run/libvirt/libvirt-sock': No such file or directory), but is "${uri}"`,
        "    Start this checkout's embedded host: make up; `project-vm start` and `apply` start it too",
      ].join("\n"),
    );
  });
});
