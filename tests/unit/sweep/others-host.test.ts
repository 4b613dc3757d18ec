import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { makeChange, type Victim } from "../../e2e/support/others-host.ts";
import { manualChanges } from "../../e2e/support/others-model.ts";
import { diskFaults, writeMarks } from "../../e2e/support/sweep-disks.ts";

const qemuImg = (...args: string[]) => execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...args]);
const first = { at: 0, length: 65536, byte: 1 };
const later = { at: 2 ** 24, length: 65536, byte: 2 };
const nic = "<interface type='network'>\n<mac address='52:54:00:11:22:33'/>\n<source network='lan'/>\n</interface>";

/** A libvirt with one domain that is off: as much of it as the changes need, on real disk images. */
class OneDomain implements Virsh {
  readonly uri = "test:///nowhere";
  readonly asked: string[] = [];
  xml: string | undefined;
  isSaved = false;
  autostarts = true;
  pool = "active";

  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
    const disk = (file: string, target: string) =>
      `<disk type='file'><source file='${path.join(dir, file)}'/><target dev='${target}'/></disk>`;
    const disks = [disk("disk.qcow2", "vda"), disk("project.qcow2", "vdb"), disk("seed.iso", "vdc")].join("");
    this.xml = `<domain><name>project-app</name><devices>${disks}${nic}</devices></domain>`;
  }

  async run(...args: string[]): Promise<string> {
    this.asked.push(args.join(" "));
    const [verb = "", , second = ""] = args;
    const shown = (is: boolean, name: string) => (is ? `${name}\n` : "");
    if (verb === "list" && args.includes("--with-managed-save")) return shown(this.isSaved, "project-app");
    if (verb === "list" && args.includes("--autostart")) return shown(this.autostarts, "project-app");
    if (verb === "list") return shown(this.xml !== undefined, "project-app");
    if (verb === "pool-list") {
      return shown(this.pool === "active" || (args.includes("--all") && this.pool !== ""), "  project-app  ");
    }
    if (verb === "dumpxml") return this.xml ?? "";
    if (verb === "define") this.xml = readFileSync(args[1] ?? "", "utf8");
    if (verb === "undefine") [this.xml, this.autostarts] = [undefined, false];
    if (verb === "autostart") this.autostarts = true;
    if (verb === "managedsave") this.isSaved = true;
    if (verb === "managedsave-remove") this.isSaved = false;
    if (verb === "pool-destroy") this.pool = "stopped";
    if (verb === "pool-undefine") this.pool = "";
    if (verb === "pool-define" || verb === "pool-start") this.pool = verb === "pool-start" ? "active" : "stopped";
    if (verb === "snapshot-create-as") this.snapshot();
    if (verb === "attach-disk") this.add(`<disk type='file'><source file='${second}'/><target dev='vdd'/></disk>`);
    if (verb === "attach-interface") this.add(nic.replace(/52:[^']+/, args[args.indexOf("--mac") + 1] ?? ""));
    if (verb === "attach-device") this.add(readFileSync(second, "utf8"));
    if (verb === "detach-disk")
      this.xml = this.xml?.replace(/<disk type='file'><source file='[^']*'\/><target dev='vdd'.*?disk>/, "");
    if (verb === "detach-interface") {
      const mac = args[args.indexOf("--mac") + 1] ?? "";
      this.xml = this.xml?.replace(
        new RegExp(`<interface type='network'>\\n<mac address='${mac}'[\\s\\S]*?</interface>`),
        "",
      );
    }
    return "";
  }

  runPrivately = (...args: string[]) => this.run(...args);

  private add(device: string): void {
    this.xml = this.xml?.replace("</devices>", `${device}</devices>`);
  }

  private snapshot(): void {
    for (const disk of ["disk", "project"]) {
      const [file, overlay] = [`${disk}.qcow2`, `${disk}.others`].map((name) => path.join(this.dir, name)) as [
        string,
        string,
      ];
      qemuImg("-b", file, "-F", "qcow2", overlay);
      this.xml = this.xml?.replace(file, overlay);
    }
  }
}

let dir: string;
let libvirt: OneDomain;
let victim: Victim;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "others-"));
  libvirt = new OneDomain(dir);
  victim = { virsh: libvirt, project: "app", dir, others: path.join(dir, "others") };
  qemuImg(path.join(dir, "disk.qcow2"), "64M");
  qemuImg(path.join(dir, "project.qcow2"), "64M");
  writeFileSync(path.join(dir, "seed.iso"), "");
});
afterEach(() => rmSync(dir, { recursive: true }));

const disk = () => path.join(dir, "project.qcow2");
test.each(manualChanges)("%s stands until it is undone, and then all is as before", async (change) => {
  const { xml, pool } = libvirt;
  const files = readdirSync(dir);
  const done = await makeChange(change, victim);
  expect(await done.stands()).toBe(true);
  expect([libvirt.xml, libvirt.pool, libvirt.isSaved, readdirSync(dir)]).not.toEqual([xml, pool, false, files]);
  expect(existsSync(done.disk)).toBe(true);
  await done.undo(true);
  expect(await done.stands()).toBe(false);
  expect([libvirt.xml, libvirt.pool, libvirt.isSaved, libvirt.autostarts]).toEqual([xml, pool, false, true]);
  expect(readdirSync(dir).filter((file) => file !== "others")).toEqual(files);
});

test.each(["external snapshot", "disk renamed"] as const)(
  "%s: what was written before and after it is on the project disk when it is undone",
  async (change) => {
    await writeMarks(disk(), [first]);
    const done = await makeChange(change, victim);
    expect(done.disk).not.toBe(disk());
    await writeMarks(done.disk, [later]);
    await done.undo(true);
    expect(await diskFaults(disk(), { size: 64, marked: 64, marks: [first, later] })).toEqual([]);
  },
);

describe("what an update has done meanwhile is not undone with a change", () => {
  test("settings that it noted in a domain on overlays", async () => {
    const done = await makeChange("external snapshot", victim);
    libvirt.xml = libvirt.xml?.replace("<devices>", "<data keep='no'/><devices>");
    await done.undo(true);
    expect(libvirt.xml).toContain("<data keep='no'/>");
    expect(libvirt.xml).not.toContain(".others");
  });

  test("a domain that it defined again, or one that was to go", async () => {
    const done = await makeChange("undefine", victim);
    await done.undo(false);
    expect(libvirt.xml).toBeUndefined();
    libvirt.xml = "<domain>new</domain>";
    await done.undo(true);
    expect(libvirt.xml).toBe("<domain>new</domain>");
  });

  test("a device that it dropped, or an interface that it brought back", async () => {
    const defined = libvirt.xml;
    for (const change of ["attach-disk", "attach-interface", "detach-interface"] as const) {
      const done = await makeChange(change, victim);
      libvirt.xml = defined;
      expect(await done.stands()).toBe(false);
      await done.undo(true);
      expect(libvirt.xml).toBe(defined);
    }
  });

  test("a VM that it took away without its pool: its root and seed go by the pool that is defined again", async () => {
    const done = await makeChange("pool undefined", victim);
    libvirt.xml = undefined;
    await done.undo(false);
    expect(libvirt.asked.slice(-2)).toEqual([
      "vol-delete disk.qcow2 --pool project-app",
      "vol-delete seed.iso --pool project-app",
    ]);
  });

  test("a pool that it removed with all that was in it", async () => {
    const done = await makeChange("pool stopped", victim);
    libvirt.pool = "";
    await done.undo(false);
    expect(libvirt.pool).toBe("");
  });
});

test("a disk that was recreated in place of one that was renamed is a fault, and neither is lost", async () => {
  const done = await makeChange("disk renamed", victim);
  qemuImg(disk(), "64M");
  await expect(done.undo(true)).rejects.toThrow("was recreated");
  expect(existsSync(done.disk)).toBe(true);
});

test("a file that others attached and that is gone is a fault", async () => {
  const done = await makeChange("attach-disk", victim);
  rmSync(path.join(victim.others, "app.qcow2"));
  await expect(done.undo(true)).rejects.toThrow("is gone");
});
