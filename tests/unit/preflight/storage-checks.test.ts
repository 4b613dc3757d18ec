import {
  chmodSync,
  chownSync,
  cpSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { seedIso } from "../../../src/cloud-init/seed-iso.ts";
import { parseStackConfig } from "../../../src/config/parse.ts";
import type { HostSettings } from "../../../src/config/settings.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { lookAtStorage } from "../../../src/libvirt/storage-look.ts";
import { checkFolders, newFolders } from "../../../src/preflight/storage-checks.ts";
import { aDomain, anInventory, aPool } from "../found.ts";

const file = "Pulumi.storage.yaml";
let dir: string;
let top: string;
beforeEach(() => {
  top = mkdtempSync(path.join(tmpdir(), "storage-checks-"));
  chmodSync(top, 0o755);
  dir = path.join(top, "vms");
});
afterEach(() => rmSync(top, { recursive: true }));

const configOf = (projects: string[], storageDir: string) =>
  parseStackConfig(
    {
      "project-vms:host": JSON.stringify({ uri: "qemu:///system", storageDir }),
      "project-vms:projects": JSON.stringify(Object.fromEntries(projects.map((name) => [name, {}]))),
    },
    file,
  );

/** What the last preview warned of. */
let warned: string[];

/** What the preview of a first update says, each with its remedy; nothing is changed by it. */
async function refused(projects = ["web"], inventory = anInventory(), storageDir = dir): Promise<string[]> {
  const config = configOf(projects, storageDir);
  const folders = newFolders({ config, inventory });
  const look = await lookAtStorage(shellFor("qemu:///system"), storageDir, folders);
  const { errors, warnings } = checkFolders({ config, host: config.host as HostSettings, inventory, file }, look);
  warned = warnings;
  return errors.map(({ path, rule, remedy }) => `${path}: ${rule} -> ${remedy}`);
}

function write(name: string, text = "theirs"): string {
  const whole = path.join(dir, name);
  mkdirSync(path.dirname(whole), { recursive: true, mode: 0o711 });
  writeFileSync(whole, text);
  return whole;
}

const qemuImg = (...words: string[]) => execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...words]);

/** As an update makes them. */
function makeOurs(project = "web"): void {
  const base = path.join(dir, "base/debian-testing-0123456789ab.qcow2");
  write(`${project}/console.log.0`);
  write(`${project}.console/console.log`);
  mkdirSync(path.dirname(base), { recursive: true });
  qemuImg(base, "1G");
  write(`base/${path.basename(base)}.sha512`);
  for (const [name, on] of [
    ["project.qcow2", []],
    ["disk.qcow2", ["-b", base, "-F", "qcow2"]],
  ] as const)
    qemuImg("-o", "compat=1.1", ...on, path.join(dir, project, name), "2G");
  cpSync(seed(`project-${project}`), path.join(dir, project, "seed.iso"));
}

const seed = (hostname: string) =>
  seedIso(
    hostname,
    { userData: "#cloud-config\n", metaData: `instance-id: x-0123456789ab\nlocal-hostname: ${hostname}\n` },
    path.join(top, "seeds"),
  );

const away = "choose another name or another storageDir, or move it away";
const elsewhere = "choose another name or another storageDir, or move that elsewhere";

test("libvirt is asked alone where it has all pools, or a VM that has lost its own", () => {
  const config = configOf(["web", "api"], "/vms");
  const pools = [aPool({ name: "project-vms-base" }), aPool({ name: "project-web" })];
  const domains = [aDomain({ name: "project-api" })];
  expect(newFolders({ config, inventory: anInventory() })).toEqual([
    "base",
    "web",
    "web.console",
    "api",
    "api.console",
  ]);
  expect(newFolders({ config, inventory: anInventory({ pools, domains }) })).toEqual([]);
});

describe("a folder of somebody else's is refused at the preview:", () => {
  test("a web site", async () => {
    for (const name of ["index.html", "html/app.js", "run.sh", "robots.txt", "disk.img"]) write(`web/${name}`);
    expect(await refused()).toEqual([
      `${file}: projects.web: ${dir}/web on qemu:///system must be empty, or hold what was made there before, but has disk.img, html, index.html and 2 more -> ${elsewhere}`,
    ]);
  });

  test("at the place of the base images, or of what a VM's console prints", async () => {
    write("base/index.html");
    write("web.console/notes");
    const rule = "on qemu:///system must be empty, or hold what was made there before, but has";
    expect(await refused()).toEqual([
      `${file}: host.storageDir: ${dir}/base ${rule} index.html -> ${elsewhere}`,
      `${file}: projects.web: ${dir}/web.console ${rule} notes -> ${elsewhere}`,
    ]);
  });

  test("a file at its place, and a folder at a file's", async () => {
    write("web");
    write("api/disk.qcow2/x");
    expect(await refused(["web", "api"])).toEqual([
      `${file}: projects.web: ${dir}/web on qemu:///system must be a folder, but is something else -> ${away}`,
      `${file}: projects.api: ${dir}/api on qemu:///system must be empty, or hold what was made there before, but has disk.qcow2 -> ${elsewhere}`,
    ]);
  });

  test.each<[string, (disk: string) => unknown]>([
    ["a disk by itself", (disk) => qemuImg(disk, "1G")],
    ["text", () => write("web/disk.qcow2")],
    ["an image cut off within its header", (disk) => writeFileSync(disk, Buffer.from("QFI\xfb\0\0\0\x03", "latin1"))],
    ["zeroes, and much of them", () => truncateSync(write("web/disk.qcow2", ""), 2 ** 21)],
    [
      "one on an image elsewhere",
      (disk) => {
        qemuImg(path.join(top, "base.qcow2"), "1G");
        qemuImg("-b", path.join(top, "base.qcow2"), "-F", "qcow2", disk);
      },
    ],
  ])("with a disk.qcow2 that is %s", async (_, make) => {
    mkdirSync(path.join(dir, "web"), { recursive: true });
    make(path.join(dir, "web/disk.qcow2"));
    expect(await refused()).toEqual([
      `${file}: projects.web: ${dir}/web/disk.qcow2 on qemu:///system must be a root disk of ours, but stands on no base image in ${dir}/base -> ${away}`,
    ]);
  });

  test("with a seed.iso of another machine's", async () => {
    mkdirSync(path.join(dir, "web"), { recursive: true });
    cpSync(seed("project-webapp"), path.join(dir, "web/seed.iso"));
    expect(await refused()).toEqual([
      `${file}: projects.web: ${dir}/web/seed.iso on qemu:///system must be a seed of project-web, but is another file: it would be overwritten -> ${away}`,
    ]);
  });
});

describe("what is ours is adopted as ever:", () => {
  test("nothing there yet, empty folders, and a filesystem of its own", async () => {
    expect(await refused()).toEqual([]);
    for (const name of ["web", "base/lost+found", "web.console"]) mkdirSync(path.join(dir, name), { recursive: true });
    expect(await refused()).toEqual([]);
  });

  test("all of a VM and the base images, which libvirt has forgotten", async () => {
    makeOurs();
    expect(await refused()).toEqual([]);
  });

  test("also where the folder for VMs was moved, and a link leads there from where it was", async () => {
    makeOurs();
    renameSync(dir, path.join(top, "moved"));
    symlinkSync("moved", dir);
    expect(await refused()).toEqual([]);
    expect(await refused(["web"], anInventory(), path.join(top, "moved"))).toEqual([]);
  });

  test("a kept or imported project disk, with marks and leftovers of imports and restores", async () => {
    for (const name of ["", ".received", ".partial", ".restoring.first\nline", ".restoring-new"])
      write(`web/project.qcow2${name}`);
    expect(await refused()).toEqual([]);
  });

  test("overlays of others' snapshots beside the disks that they stand on, and only there", async () => {
    makeOurs();
    for (const name of ["disk.before.upgrade", "project.before.upgrade"]) write(`web/${name}`);
    expect(await refused()).toEqual([]);
    rmSync(path.join(dir, "web/disk.qcow2"));
    expect(await refused()).toEqual([expect.stringContaining("but has disk.before.upgrade ->")]);
  });

  test("what an update that was killed has left: an empty disk, a seed that holds nothing yet", async () => {
    write("web/disk.qcow2", "");
    truncateSync(write("web/seed.iso", ""), 400_000);
    expect(await refused()).toEqual([]);
    qemuImg(path.join(dir, "web/disk.qcow2"), "0");
    expect(await refused()).toEqual([]);
  });
});

describe.runIf(process.getuid?.() === 0)("a folder for VMs that other users can change is refused:", () => {
  const rule = (at: string, why: string) =>
    `${file}: host.storageDir: must be where no other user of qemu:///system can put other disks, but ${at} ${why}`;
  const remedy = (command: string, at: string) =>
    `look at what is in it, then: ${command} ${at}; or name another \`storageDir\``;

  test.each<[string, () => void, string, string, string]>([
    ["another user's", () => chownSync(dir, 1234, 1234), "vms", "is user 1234's", "chown -h root"],
    ["below one's folder", () => chownSync(top, 1234, 0), "", "is user 1234's", "chown -h root"],
    ["for all", () => chmodSync(dir, 0o777), "vms", "may be written to by all users", "chmod go-w"],
    ["in a folder for all", () => chmodSync(top, 0o757), "", "may be written to by all users", "chmod go-w"],
    [
      "whose folder of a project is one's",
      () => chownSync(path.join(dir, "web"), 1234, 0),
      "vms/web",
      "is user 1234's",
      "chown -h root",
    ],
    [
      "that one's link leads to",
      () => {
        renameSync(dir, path.join(top, "moved"));
        symlinkSync("moved", dir);
        lchownSync(dir, 1234, 1234);
      },
      "vms",
      "is user 1234's",
      "chown -h root",
    ],
    [
      "that a link leads to, in one's folder",
      () => {
        mkdirSync(path.join(top, "moved"));
        chownSync(path.join(top, "moved"), 1234, 1234);
        renameSync(dir, path.join(top, "moved/vms"));
        symlinkSync("moved/vms", dir);
      },
      "moved",
      "is user 1234's",
      "chown -h root",
    ],
  ])("%s", async (_, open, at, why, command) => {
    mkdirSync(path.join(dir, "web"), { recursive: true });
    open();
    const step = path.join(top, at);
    expect(await refused()).toEqual([`${rule(step, why)} -> ${remedy(command, step)}`]);
    // Where VMs are already, it is named and no more.
    expect(await refused(["web"], anInventory({ pools: [aPool({ name: "project-vms-base" })] }))).toEqual([]);
    expect(warned).toEqual([`${rule(step, why)}: ${remedy(command, step)}`]);
  });

  test("one in a folder for all with the sticky bit is not, before and after it is made", async () => {
    chmodSync(top, 0o1777);
    expect(await refused()).toEqual([]);
    mkdirSync(dir);
    expect(await refused()).toEqual([]);
  });
});
