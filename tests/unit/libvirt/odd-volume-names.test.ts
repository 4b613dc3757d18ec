import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lookAtEverything, lookAtImages } from "../../../src/images/look-at-images.ts";
import { usersOfFiles } from "../../../src/libvirt/disk-users.ts";
import { parseDevices } from "../../../src/libvirt/domain-devices.ts";
import { takeInventory } from "../../../src/libvirt/inventory.ts";
import { parseDomain, parseVolume } from "../../../src/libvirt/libvirt-xml.ts";
import { startOfVolume, volumesIn } from "../../../src/libvirt/pool-volumes.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { virshFor } from "../../../src/libvirt/virsh.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "names-"));
  for (const folder of ["web", "isos"]) mkdirSync(path.join(dir, folder));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** libvirt's own test driver, with a project's pool and one of a folder into which other users may put files. */
function hostWith(...files: string[]): string {
  const volume = (file: string) =>
    `<volume><name>${path.basename(file)}</name><capacity>1000</capacity><allocation>1000</allocation><target><path>${file}</path></target></volume>`;
  const pool = (name: string, folder: string, names: string[], number = names.length) =>
    `<pool type='dir'><name>${name}</name><uuid>00000000-0000-4000-8000-00000000000${number}</uuid><target><path>${dir}/${folder}</path></target>${names.map((file) => volume(`${dir}/${folder}/${file}`)).join("")}</pool>`;
  const cpu =
    "<cpu><mhz>2000</mhz><model>x</model><active>2</active><nodes>1</nodes><sockets>1</sockets><cores>2</cores><threads>1</threads></cpu>";
  const pools = [pool("isos", "isos", files), pool("project-web", "web", ["project.qcow2"], 9)];
  writeFileSync(path.join(dir, "node.xml"), `<node>${cpu}<memory>8192000</memory>${pools.join("")}</node>`);
  return `test://${dir}/node.xml`;
}

function usersOfDisk(uri: string) {
  const own = { domain: "project-web", pool: "project-web", files: [`${dir}/web/project.qcow2`] };
  return usersOfFiles(virshFor(uri), shellFor(uri), own);
}

test.each(["debian.iso", "--help", "--socket is closed", "--x", "--", "--pool", "--pool=x", "-h"])(
  "a file that another user called %s is a volume like any other",
  async (name) => {
    const uri = hostWith(name);
    expect(await usersOfDisk(uri)).toEqual([]);
    const { pools } = await lookAtImages({ uri, storageDir: "/vms" });
    expect(pools.find((pool) => pool.name === "isos")).toMatchObject({ volumes: [{ name }] });
    expect(pools.find((pool) => pool.name === "isos")?.unread).toBeUndefined();
    // The test driver has no files to read, but it looks for the volume first.
    await expect(startOfVolume(virshFor(uri), "isos", name, 1)).rejects.toThrow("not supported");
  },
);

const unknownName = (name: string) =>
  `failed to get vol '${name}'; Storage volume not found: no storage vol with matching path '${name}'`;

/** What it has, the name, as it is found in virsh's table, and what virsh then says of it. */
const listed: [string, string, string, string?][] = [
  ["a blank at its end", "x ", "x"],
  ["a blank at its beginning", " x", "x"],
  ["nothing but blanks", "  ", "", "Failed to get option 'vol': Option argument is empty"],
  ["a control character of C1", "x\u0085y", "x\\xff\\xffy"],
];

test.each(listed)(
  "a file whose name has %s is not known, and not gone",
  async (_, name, found, error = unknownName(found)) => {
    const uri = hostWith(name);
    expect([...(await volumesIn(virshFor(uri), "isos")).keys()]).toEqual([found]);
    const { pools } = await takeInventory({ uri, storageDir: "/", virtualization: "emulated" });
    expect(pools.find((pool) => pool.name === "isos")).toMatchObject({ volumes: [], unread: [found] });
    expect(await usersOfDisk(uri)).toEqual([
      {
        isKnown: false,
        fact: `whether a volume of the pool isos stands on it is not known: ${error} (in ${dir}/isos: virsh prints no name as it is that begins or ends with a blank, or has control characters; rename such a file)`,
      },
    ]);
    await expect(lookAtEverything({ uri, storageDir: dir })).rejects.toThrow(
      [
        "No base image was removed: not all that may stand on one can be seen.",
        `  - pool isos: must let all its volumes be seen, but libvirt tells nothing of ${JSON.stringify(found)}`,
        `    let libvirt read what is so called in ${dir}/isos; virsh prints no name as it is that begins or ends with a blank, or has control characters; rename such a file`,
      ].join("\n"),
    );
  },
);

test("of two names that differ by the blanks at their ends none hides the other", async () => {
  for (const [names, volumes, unread] of [
    [["x", "x "], [{ name: "x" }, { name: "x " }], undefined],
    [["x", " x"], [{ name: "x" }], ["x "]],
  ] as const) {
    const uri = hostWith(...names);
    const { pools } = await takeInventory({ uri, storageDir: "/", virtualization: "emulated" });
    const isos = pools.find((pool) => pool.name === "isos");
    expect([isos?.volumes.length, isos?.unread]).toEqual([volumes.length, unread]);
    expect(isos).toMatchObject({ volumes });
    expect((await usersOfDisk(uri)).length).toBe(unread?.length ?? 0);
  }
});

test("a no-break space is a letter of a name like any other", async () => {
  const uri = hostWith("\u00a0x\u00a0");
  expect(await usersOfDisk(uri)).toEqual([]);
  const { pools } = await takeInventory({ uri, storageDir: "/", virtualization: "emulated" });
  expect(pools.find((pool) => pool.name === "isos")).toMatchObject({ volumes: [{ name: "\u00a0x\u00a0" }] });
});

test("a name in libvirt's XML keeps its blanks: another file may be called so without them", () => {
  const volume = `<volume>
  <name> o </name>
  <target><path>/isos/ o </path></target>
  <backingStore>
    <path>/isos/x </path>
  </backingStore>
</volume>`;
  expect(parseVolume(volume)).toMatchObject({ name: " o ", path: "/isos/ o ", backingPath: "/isos/x " });
  const disk = "<disk type='file' device='disk'><source file='/isos/ x '/><target dev='vda'/></disk>";
  expect(parseDevices(`<domain><devices>${disk}</devices></domain>`).disks).toMatchObject([{ source: "/isos/ x " }]);
  const domain = parseDomain(`<domain><name>a</name>\n<devices>\n${disk}\n</devices></domain>`);
  expect(domain.disks).toEqual([{ path: "/isos/ x " }]);
});
