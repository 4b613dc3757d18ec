import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { lookAtEverything } from "../../../src/images/look-at-images.ts";
import { usersOfFiles } from "../../../src/libvirt/disk-users.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { virshFor } from "../../../src/libvirt/virsh.ts";
import { overlayIssues, requireNoOverlay } from "../../../src/lifecycle/overlays.ts";
import { runScript } from "../../../src/project-disks/host-script.ts";

let dir: string;
let disk: string;
let scratch: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "raw-disks-"));
  disk = `${dir}/web/project.qcow2`;
  scratch = `${dir}/isos/scratch.raw`;
  for (const name of ["web", "isos"]) mkdirSync(`${dir}/${name}`);
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "1M"]);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** What the guest of a raw disk wrote there. */
const header = (file: string, below: string) =>
  execFileSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", below, "-F", "qcow2", file, "1M"]);

const uuid = (n: number) => `<uuid>00000000-0000-4000-8000-00000000000${n}</uuid>`;
const volume = (file: string, below = "") => {
  const backing = below && `<backingStore><path>${below}</path><format type='qcow2'/></backingStore>`;
  return `<volume><name>${path.basename(file)}</name><capacity>1000</capacity><allocation>1000</allocation><target><path>${file}</path></target>${backing}</volume>`;
};
const pool = (name: string, n: number, folder: string, ...volumes: string[]) =>
  `<pool type='dir'><name>${name}</name>${uuid(n)}<target><path>${folder}</path></target>${volumes.join("")}</pool>`;

interface Disk {
  source: string;
  format?: string;
  domain?: string;
}

/** A libvirt of virsh's test driver, in which a volume of a pool is said to stand on another file, and a domain has a disk. */
function host(below: string, { source, format = "raw", domain = "stranger" }: Disk, file = scratch): string {
  const element = `<disk type='file' device='disk'><driver name='qemu' type='${format}'/><source file='${source}'/><target dev='vdb'/></disk>`;
  const theirs = `<domain type='test'><name>${domain}</name>${uuid(3)}<memory>1000</memory><os><type>hvm</type></os><devices>${element}</devices></domain>`;
  const node = `<node><cpu><mhz>2000</mhz><model>x</model><active>2</active><nodes>1</nodes><sockets>1</sockets><cores>2</cores><threads>1</threads></cpu><memory>8192000</memory>`;
  const isOurs = file.startsWith(`${dir}/web/`);
  const volumes = [isOurs ? [] : [volume(file, below)], isOurs ? [volume(file, below)] : []] as const;
  const pools = [
    pool("isos", 1, `${dir}/isos`, ...volumes[0]),
    pool("project-web", 2, `${dir}/web`, volume(disk), ...volumes[1]),
  ];
  writeFileSync(`${dir}/node.xml`, `${node}${theirs}${pools.join("")}</node>`);
  return `test://${dir}/node.xml`;
}

const log = () => {};
const own = () => ({ domain: "project-web", pool: "project-web", files: [disk] });
const usersAt = (uri: string) => usersOfFiles(virshFor(uri), shellFor(uri), own());

/** Whether a purge took the disk; the test driver forgets between two questions that it stopped the pool, and fails after that. */
async function isPurged(uri: string): Promise<boolean> {
  await runScript(shellFor(uri), "purge.sh", ["web", dir, uri, "no"], "Nothing was removed.").catch(() => undefined);
  return !existsSync(disk);
}

describe.skipIf(!["virsh", "qemu-img"].every((name) => existsSync(`/usr/bin/${name}`)))(
  "what a guest wrote at the beginning of its raw disk is its own word:",
  () => {
    test.each([
      ["that it stands on ours", () => disk],
      ["that it stands on a file that is missing", () => "/nowhere/base.qcow2"],
    ])("%s holds nothing up", async (_, below) => {
      header(scratch, below());
      const link = `${dir}/link.raw`;
      symlinkSync(scratch, link);
      for (const source of [scratch, link]) expect(await usersAt(host(below(), { source }))).toEqual([]);
      expect(await usersAt(host(below(), { source: scratch, domain: "project-web" }))).toEqual([]);
      expect(await isPurged(host(below(), { source: link }))).toBe(true);
    });

    test.each([
      ["a domain has it as qcow2", { format: "qcow2" }],
      ["no domain has it", { source: "/elsewhere/other.raw" }],
    ])("it counts where %s", async (_, disk_) => {
      header(scratch, disk);
      const uri = host(disk, { source: scratch, ...disk_ });
      expect(await usersAt(uri)).toContainEqual(expect.objectContaining({ isKnown: true, file: disk }));
      expect(await isPurged(uri)).toBe(false);
    });

    test("no base image stays for that, and no pool of its folder is asked for", async () => {
      header(scratch, "/nowhere/base.qcow2");
      const at = (source: string) => ({ uri: host("/nowhere/base.qcow2", { source }), storageDir: `${dir}/vms` });
      const shown = (error: Error) => error.message;
      expect(await lookAtEverything(at(scratch)).then(() => "", shown)).toBe("");
      expect(await lookAtEverything(at("/dev/vdz")).then(() => "", shown)).toContain("/nowhere/base.qcow2: must be in");
    });

    test.each([
      ["no domain has it", { source: "/elsewhere/other.raw" }, true],
      ["a domain has it as qcow2", { source: "", format: "qcow2" }, true],
      ["a domain has it as raw", { source: "" }, false],
    ])(
      "an overlay of a disk counts in another pool as well, by whatever path it names that, where %s",
      async (_, of, counts) => {
        const link = `${dir}/link.qcow2`;
        symlinkSync(disk, link);
        header(scratch, link);
        const uri = host(link, { ...of, source: of.source || scratch });
        const said = await requireNoOverlay(virshFor(uri), "web", log).then(() => "", String);
        expect(said.includes(`${disk}: must have no overlay, but ${scratch} stands on it`)).toBe(counts);
      },
    );

    test("a chain of overlays is to be written back from its end, also where what is between is in no pool", async () => {
      const [between, top] = [`${dir}/between`, `${dir}/top`];
      header(between, disk);
      header(scratch, between);
      header(top, scratch);
      const look = (disk_: Disk) => requireNoOverlay(virshFor(host(between, disk_)), "web", log);
      const refusal = (last: string) => `${disk}: must have no overlay, but ${last} stands on it`;
      await expect(look({ source: "/elsewhere/other.raw" })).rejects.toThrow(refusal(scratch));
      await expect(look({ source: top, format: "qcow2" })).rejects.toThrow(refusal(top));
    });

    test("it is no overlay of a disk beside it, unless a domain has it as one", async () => {
      const beside = `${dir}/web/scratch.raw`;
      header(beside, disk);
      const look = (format: string) =>
        requireNoOverlay(virshFor(host(disk, { source: beside, format }, beside)), "web", log);
      await expect(look("raw")).resolves.toBeUndefined();
      await expect(look("qcow2")).rejects.toThrow(`${disk}: must have no overlay, but ${beside} stands on it`);
      const volumes = [
        { name: "project.qcow2", path: disk },
        { name: "scratch.raw", path: beside, backingPath: disk },
      ];
      expect(overlayIssues(volumes, [beside])).toEqual([]);
      // One who has ours as raw, to look into it, has no say about what stands on it.
      expect(overlayIssues(volumes, [disk])).toHaveLength(1);
    });
  },
);
