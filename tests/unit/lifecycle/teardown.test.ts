import { spawn } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { tailnetNamespace } from "../../../src/libvirt/libvirt-xml.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { tearDown } from "../../../src/lifecycle/teardown.ts";
import { aNode } from "../guest/samples.ts";
import { FakeVirsh } from "./fake-virsh.ts";

const disk = "/vms/webapp/project.qcow2";
const files = ["disk.qcow2", "seed.iso", "console.log", "project.qcow2"];
const ours = { description: "project-vms stack storage", running: true, disks: ["/vms/webapp/disk.qcow2", disk] };
let virsh: FakeVirsh;
let said: string[];

beforeEach(() => {
  virsh = new FakeVirsh();
  said = [];
  virsh.domains.set("project-webapp", { ...ours });
  virsh.pools.set("project-webapp", new Map(files.map((name) => [name, { path: `/vms/webapp/${name}` }])));
});

/** With a domain that notes what the stack says or, as after an update that was cut off, something else. */
function run(keepData: boolean, noted: { keepData?: boolean | undefined } = { keepData }) {
  Object.assign(virsh.domains.get("project-webapp") ?? {}, noted);
  return tearDown(virsh, { uri: "fake", project: "webapp", owner: "storage", keepData }, {}, (line) => said.push(line));
}
const left = () => [...(virsh.pools.get("project-webapp")?.keys() ?? [])];

describe("the teardown of a VM", () => {
  test("takes all away but the project disk, and says where that is", async () => {
    await run(true);
    expect([...virsh.domains.keys()]).toEqual([]);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(`project-webapp: kept ${disk}`);
  });

  test.each([true, false])(
    "removes nothing of one whose disk is an overlay's base (keepData: %s)",
    async (keepData) => {
      virsh.domains.set("project-webapp", { ...ours, disks: ["/vms/webapp/disk.qcow2", "/vms/webapp/project.s1"] });
      await expect(run(keepData)).rejects.toThrow(`must have ${disk} as vdb, but has /vms/webapp/project.s1`);
      expect(left()).toEqual(files);
      expect(virsh.domains.get("project-webapp")?.running).toBe(true);
    },
  );

  test("keeps a disk while a pool, which may have a clone of it, cannot be read; libvirt stops it for that", async () => {
    virsh.pools.set("clones", new Map());
    virsh.unreadable.add("clones");
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said.join("\n")).toContain(
      "whether a volume of the pool clones stands on it is not known: cannot open directory",
    );
  });

  test("leaves a domain that others renamed, on or off, the disks that it goes on with", async () => {
    for (const running of [true, false]) {
      virsh.domains.clear();
      virsh.domains.set("renamed", { ...ours, running });
      await run(true);
      expect(left()).toEqual(["disk.qcow2", "project.qcow2"]);
      expect(said).toContain("webapp: /vms/webapp/disk.qcow2 is kept: the domain renamed uses it");
    }
  });

  test("gives saved memory up only with the disk that it belongs to", async () => {
    const saved = { ...ours, running: false, saved: true };
    virsh.domains.set("project-webapp", { ...saved });
    await expect(run(true)).rejects.toThrow("must not have saved memory");
    expect([...virsh.domains.keys(), ...left()]).toEqual(["project-webapp", ...files]);
    await run(false);
    expect([...virsh.domains.keys()]).toEqual([]);
  });

  test("takes the parts of a console log that virtlogd has rotated along, and nothing that is only called alike", async () => {
    const pool = virsh.pools.get("project-webapp");
    const others = ["console.log.0", "console.log.1", "console.log.12", "console.log.gz", "my-console.log.0"];
    for (const name of others) pool?.set(name, { path: `/vms/webapp/${name}` });
    await run(true);
    expect(left()).toEqual(["project.qcow2", "console.log.gz", "my-console.log.0"]);
  });

  describe("with a console log in a folder of its own", () => {
    let storageDir: string;
    let folder: string;
    beforeEach(() => {
      storageDir = mkdtempSync(path.join(tmpdir(), "teardown-"));
      folder = path.join(storageDir, "webapp.console");
      mkdirSync(folder);
      writeFileSync(path.join(folder, "console.log"), "booted");
    });
    const tearDownThere = () =>
      tearDown(virsh, { uri: virsh.uri, project: "webapp", owner: "storage", storageDir, keepData: true }, {}, (line) =>
        said.push(line),
      );

    test("takes it along", async () => {
      await tearDownThere();
      expect(existsSync(folder)).toBe(false);
    });

    test("goes through, and says what stays, where it cannot be removed", async () => {
      writeFileSync(path.join(folder, "notes"), "mine");
      await tearDownThere();
      expect(left()).toEqual(["project.qcow2"]);
      expect(readFileSync(path.join(folder, "notes"), "utf8")).toBe("mine");
      expect(said.find((line) => line.includes("console log stays"))).toMatch(
        /^webapp: its console log stays \(.*\/webapp\.console\/console\.log\): .*Directory not empty$/,
      );
    });
  });

  describe("in a tailnet without an API", () => {
    const tailnet = { tag: "tag:project-vm", domain: "tailnet.test" };
    /** With a guest whose `tailscale` ends so; undefined: whose agent is silent. */
    async function logOut(exitcode: number | undefined) {
      const real = FakeVirsh.prototype.run.bind(virsh);
      const mark = `<t:tailnet xmlns:t="${tailnetNamespace}" id="n9" node="${aNode(9).nodeKey}"/>`;
      const answer = { pid: 7, exited: true, exitcode, "out-data": Buffer.from("READY: web").toString("base64") };
      vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
        if (args[0] === "dumpxml") return (await real(...args)).replace("<metadata>", `<metadata>${mark}`);
        if (args[0] !== "qemu-agent-command") return real(...args);
        if (exitcode === undefined) throw new VirshError("fake", args, undefined, "no agent", true);
        return JSON.stringify({ return: answer });
      });
      const teardown = { uri: "fake", project: "webapp", owner: "storage", keepData: true, tailnet };
      await tearDown(virsh, teardown, {}, (line) => said.push(line));
      expect(left()).toEqual(["project.qcow2"]);
    }

    test("logs its guest out, and says what stays", async () => {
      await logOut(0);
      expect(said).toContain(
        "webapp: logged out of its tailnet; without the API's credentials its device stays there: remove it by hand",
      );
    });

    test.each([
      ["refuses", 1, "project-webapp: tailscale failed (exit code 1):\n  | READY: web"],
      ["is silent", undefined, "The guest agent of project-webapp: it is not there, or refuses:\n  | no agent"],
    ])("goes through where its guest %s, and says that the login stays valid", async (_, exitcode, why) => {
      await logOut(exitcode);
      expect(said).toContain(
        `webapp: did not log out of its tailnet: its login stays valid until its device is removed there by hand. ${why}`,
      );
    });
  });

  test("with keepData false takes that too, and the pool", async () => {
    await run(false);
    expect(virsh.pools.size).toBe(0);
    expect(said).toContain("webapp: its project disk is deleted (keepData is false)");
  });

  test.each([
    ["that it stays", true],
    ["nothing", undefined],
  ])("whose domain notes %s keeps the project disk, as every preview then says", async (_, noted) => {
    await run(false, { keepData: noted });
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(
      "webapp: its project disk is kept, although keepData is false: no update has come so far as to note that",
    );
  });

  test.each([["vol-delete"], ["undefine"], ["nwfilter-list"], ["pool-undefine"]])(
    "cut off at `%s` and done again takes the disk only by its domain's word",
    async (verb) => {
      for (const noted of [true, false]) {
        virsh = new FakeVirsh();
        virsh.domains.set("project-webapp", { ...ours, keepData: noted });
        virsh.pools.set("project-webapp", new Map(files.map((name) => [name, { path: `/vms/webapp/${name}` }])));
        const cut = vi.spyOn(virsh, "run");
        const real = FakeVirsh.prototype.run.bind(virsh);
        cut.mockImplementation(async (...args) => {
          if (args[0] === verb) throw new Error("cut off");
          return real(...args);
        });
        await run(false, { keepData: noted }).catch(() => undefined);
        cut.mockRestore();
        await run(false, {});
        expect(left().includes("project.qcow2")).toBe(noted);
      }
    },
  );

  test("keeps the project disk when its domain is gone, and with it what that noted", async () => {
    virsh.domains.clear();
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(
      "webapp: its project disk is kept, although keepData is false: its domain is gone, and what that noted is not known; to remove the disk: project-vm purge webapp",
    );
  });

  test("takes its network filter along, and nobody else's", async () => {
    virsh.filters.add("project-webapp").add("project-web").add("clean-traffic");
    await run(true);
    expect([...virsh.filters]).toEqual(["project-web", "clean-traffic"]);
  });

  /**
   * The teardown of an engine that was killed, which has asked libvirt for one last thing, and the one of the next update.
   *
   * @param last which of its changes that is
   * @param until the call of the next one before which it is done
   * @returns whether both come so far
   */
  async function overtaken(keepData: boolean, last: number, until: number): Promise<boolean> {
    Object.assign(virsh.domains.get("project-webapp") ?? {}, { keepData });
    virsh.filters.add("project-webapp");
    const { run: real } = FakeVirsh.prototype;
    let doLast: (() => Promise<unknown>) | undefined;
    let calls = 0;
    const spy = vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      const isChange = /delete|undefine|destroy|shutdown/.test(args[0] ?? "");
      if (!isChange || calls++ < last) return real.apply(virsh, args);
      doLast = () => real.apply(virsh, args);
      throw new Error("killed");
    });
    await run(keepData).catch(() => undefined);
    calls = 0;
    spy.mockImplementation(async (...args) => {
      if (calls++ === until) await doLast?.().catch(() => undefined);
      return real.apply(virsh, args);
    });
    await run(keepData);
    spy.mockRestore();
    return doLast !== undefined && calls > until;
  }

  test.each([[true], [false]])(
    "goes through while what a killed one had asked for last is still done (keepData %s)",
    async (keepData) => {
      const seen: number[] = [];
      for (let last = 0; seen.length === last; last++) {
        for (let until = 0, more = true; more; until++) {
          virsh = new FakeVirsh();
          virsh.domains.set("project-webapp", { ...ours, running: false });
          virsh.pools.set("project-webapp", new Map(files.map((name) => [name, { path: `/vms/webapp/${name}` }])));
          more = await overtaken(keepData, last, until);
          if (more) seen[last] = until;
          expect([virsh.domains.size, virsh.filters.size]).toEqual([0, 0]);
          if (keepData) expect(left()).toEqual(["project.qcow2"]);
        }
      }
      // Its changes, and the calls of the next one for each.
      expect(seen.length).toBeGreaterThan(4);
      expect(Math.min(...seen)).toBeGreaterThan(4);
    },
  );

  test.each([[true], [false]])("done again finds nothing left to do (keepData %s)", async (keepData) => {
    await run(keepData);
    const after = left();
    virsh.changes.length = 0;
    await run(keepData);
    expect([virsh.changes, left()]).toEqual([[], after]);
  });

  test.each([
    ["uses", { disks: [disk] }],
    ["has ejected, and uses again from its next start on", { disks: [], definedDisks: [disk] }],
  ])("keeps a project disk that another domain %s, whatever keepData says", async (_, disks) => {
    virsh.domains.set("rescue", { description: "", running: true, ...disks });
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(
      `webapp: its project disk is kept, although keepData is false: the domain rescue uses it (${disk})`,
    );
  });

  const keptFor = (why: string) => `webapp: its project disk is kept, although keepData is false: ${why} (${disk})`;

  test.each([
    ["in a pool of its own", "clones", "clone.qcow2"],
    ["with a blank in its name", "clones", "my clone.qcow2"],
    ["that is called as a root disk", "clones", "disk.qcow2"],
    ["beside it", "project-webapp", "clone.qcow2"],
  ])("keeps a project disk that a clone %s stands on, although no domain has that", async (_, pool, name) => {
    if (!virsh.pools.has(pool)) virsh.pools.set(pool, new Map());
    virsh.pools.get(pool)?.set(name, { path: `/clones/${name}`, backing: disk });
    await run(false);
    expect(left()).toContain("project.qcow2");
    expect(said).toContain(keptFor(`/clones/${name} stands on it`));
  });

  test("keeps a project disk that the disk of a domain that is off stands on, and that is in no pool", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "teardown-"));
    const [below, overlay] = [path.join(folder, "below"), path.join(folder, "overlay")] as const;
    for (const [file, base] of [
      [below, disk],
      [overlay, below],
    ] as const)
      execaSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, file, "1M"]);
    virsh.domains.set("rescue", { description: "", running: false, disks: [overlay] });
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(keptFor(`${overlay} stands on it`));
  });

  test("keeps a project disk that a clone stands on by way of an image that is in no pool", async () => {
    const below = path.join(mkdtempSync(path.join(tmpdir(), "teardown-")), "below");
    execaSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", disk, below, "1M"]);
    virsh.pools.set("clones", new Map([["clone.qcow2", { path: "/clones/clone.qcow2", backing: below }]]));
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(keptFor(`${below} stands on it`));
  });

  test("keeps a project disk of which it is not known what stands on it", async () => {
    virsh.pools.set("clones", new Map([["clone.qcow2", { path: "/clones/clone.qcow2" }]]));
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args[0] === "vol-dumpxml" && args.includes("clones"))
        throw new VirshError("fake", args, 1, "Input/output error");
      return real(...args);
    });
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(
      keptFor("whether a volume of the pool clones stands on it is not known: Input/output error"),
    );
  });

  describe("compares files by what they are", () => {
    let dir: string;
    beforeEach(() => {
      dir = mkdtempSync(path.join(tmpdir(), "teardown-"));
      mkdirSync(path.join(dir, "webapp"));
      const pool = new Map(files.map((name) => [name, { path: path.join(dir, "webapp", name) }]));
      for (const { path: file } of pool.values())
        if (file.endsWith(".qcow2")) execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
        else writeFileSync(file, "");
      virsh.pools.set("project-webapp", pool);
      virsh.domains.set("project-webapp", { ...ours, disks: [] });
    });
    const own = () => path.join(dir, "webapp/project.qcow2");
    const overlayOn = (base: string, name = "overlay") => {
      const file = path.join(dir, name);
      execaSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, file, "1M"]);
      return file;
    };
    const keptHere = (why: string) => `webapp: its project disk is kept, although keepData is false: ${why} (${own()})`;

    test.each<[string, (file: string) => void, string]>([
      ["a symbolic link", (file) => symlinkSync("webapp", path.dirname(file)), "link/project.qcow2"],
      ["another name of it", (file) => linkSync(own(), file), "other.qcow2"],
    ])("a domain that has the project disk by %s uses it, and so does an image on that", async (_, make, name) => {
      const file = path.join(dir, name);
      make(file);
      virsh.domains.set("rescue", { description: "", running: false, disks: [file] });
      await run(false);
      expect(left()).toEqual(["project.qcow2"]);
      expect(said).toContain(keptHere("the domain rescue uses it"));
      const overlay = overlayOn(file);
      virsh.domains.set("rescue", { description: "", running: false, disks: [overlay] });
      virsh.domains.set("project-webapp", { ...ours, disks: [], keepData: false });
      await run(false);
      expect(said).toContain(keptHere(`${overlay} stands on it`));
      virsh.domains.delete("rescue");
      virsh.pools.set("clones", new Map([["clone", { path: "/clones/clone", backing: file }]]));
      virsh.domains.set("project-webapp", { ...ours, disks: [], keepData: false });
      await run(false);
      expect(said).toContain(keptHere("/clones/clone stands on it"));
      expect(left()).toEqual(["project.qcow2"]);
    });

    test("an image that is missing, as on a disk that is not mounted, may stand on the project disk", async () => {
      virsh.domains.set("far", { description: "", running: false, disks: ["/not/mounted.qcow2"] });
      await run(false);
      expect(left()).toEqual(["project.qcow2"]);
      const unknown = "whether /not/mounted.qcow2 stands on it is not known";
      expect(said).toContain(keptHere(`${unknown}: it is not there`));
      const overlay = overlayOn("/not/mounted.qcow2");
      virsh.domains.set("far", { description: "", running: false, disks: [overlay] });
      virsh.domains.set("project-webapp", { ...ours, disks: [], keepData: false });
      await run(false);
      expect(said).toContain(
        keptHere(`whether ${overlay} stands on it is not known: /not/mounted.qcow2: it is not there`),
      );
      virsh.domains.delete("far");
      virsh.pools.set("clones", new Map([["clone", { path: "/clones/clone", backing: "/not/mounted.qcow2" }]]));
      virsh.domains.set("project-webapp", { ...ours, disks: [], keepData: false });
      await run(false);
      expect(left()).toEqual(["project.qcow2"]);
    });

    test("a file that cannot be looked at may be the project disk", async () => {
      symlinkSync("loop", path.join(dir, "loop"));
      virsh.domains.set("far", { description: "", running: false, disks: [path.join(dir, "loop")] });
      await run(false);
      expect(left()).toEqual(["project.qcow2"]);
      expect(said.join()).toContain(`whether ${dir}/loop stands on it is not known: stat: cannot stat`);
    });

    test("a raw disk that is missing, such as the image of a CD, is nothing", async () => {
      virsh.domains.set("installed", { description: "", running: false, disks: ["/gone/install.iso"] });
      const real = FakeVirsh.prototype.run.bind(virsh);
      vi.spyOn(virsh, "run").mockImplementation(async (...args) =>
        (await real(...args)).replace(/type='qcow2'(?=\/><source file='\/gone)/, "type='raw'"),
      );
      await run(false);
      expect(virsh.pools.size).toBe(0);
    });

    test.each(["disk.qcow2", "seed.iso"])("keeps %s while others are known to use it", async (name) => {
      const file = path.join(dir, "webapp", name);
      virsh.domains.set("copy", { description: ours.description, running: true, disks: [file] });
      await run(true);
      expect(left()).toEqual([name, "project.qcow2"]);
      expect(said).toContain(`webapp: ${file} is kept: the domain copy uses it`);
    });

    test("keeps a root disk that an image in another folder stands on, and says so", async () => {
      const overlay = overlayOn(path.join(dir, "webapp/disk.qcow2"));
      virsh.domains.set("copy", { description: "", running: false, disks: [overlay] });
      await run(true);
      expect(left()).toEqual(["disk.qcow2", "project.qcow2"]);
      expect(said).toContain(`webapp: ${dir}/webapp/disk.qcow2 is kept: ${overlay} stands on it`);
    });

    test("keeps a project disk that a program has of which libvirt knows nothing", async () => {
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", own(), "1M"]);
      const user = spawn("qemu-io", [own()], { stdio: ["pipe", "pipe", "ignore"] });
      await new Promise((resolve) => user.stdout.once("data", resolve));
      await run(false);
      user.stdin.end("quit\n");
      expect(left()).toEqual(["project.qcow2"]);
      expect(said).toContain(
        `webapp: its project disk is kept, although keepData is false: it must not be used by another program: shut that down: fuser -v '${own()}' (${own()})`,
      );
    });

    test("keeps a project disk of which it is not known whether a program has it", async () => {
      const bin = mkdtempSync(path.join(tmpdir(), "bin-"));
      writeFileSync(path.join(bin, "qemu-img"), "#!/bin/sh\nkill $$\n", { mode: 0o755 });
      vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
      await run(false);
      vi.unstubAllEnvs();
      expect(left()).toEqual(["project.qcow2"]);
      expect(said.join("\n")).toContain("keepData is false: it must let be seen whether a program uses it: ");
    });

    test("takes root disk and seed, which can be made again, where it is only not known who uses them", async () => {
      virsh.pools.set("isos", new Map());
      virsh.stopped.add("isos");
      virsh.domains.set("far", { description: "", running: false, disks: ["/not/mounted.qcow2"] });
      await run(false);
      expect(left()).toEqual(["project.qcow2"]);
    });

    test("asks libvirt once for all, however many domains and pools there are", async () => {
      const asked: number[] = [];
      for (const count of [1, 20]) {
        for (let i = 0; i < count; i++) {
          const overlay = overlayOn(own(), `overlay-${count}-${i}`);
          virsh.domains.set(`other-${i}`, { description: "", running: false, disks: [overlay] });
          virsh.pools.set(`pool-${i}`, new Map([["clone", { path: `/clones/${i}`, backing: own() }]]));
        }
        virsh.domains.set("project-webapp", { ...ours, disks: [] });
        virsh.pools.set("project-webapp", new Map([["project.qcow2", { path: own() }]]));
        virsh.asked = 0;
        await run(false);
        expect(left()).toEqual(["project.qcow2"]);
        asked.push(virsh.asked);
      }
      expect(asked[1]).toBe(asked[0]);
    });
  });

  test.each([
    ["whose domain is gone", true],
    ["whose domain goes next", false],
  ])("deletes a project disk although another VM, %s, is taken away at the same moment", async (_, domainToo) => {
    const folder = mkdtempSync(path.join(tmpdir(), "teardown-"));
    const theirs = ["disk.qcow2", "project.qcow2"].map((name) => path.join(folder, name));
    for (const file of theirs) execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    virsh.domains.set("project-docs", { ...ours, running: false, disks: theirs });
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      const answer = await real(...args);
      // Its disks go between the look at its domain and the look at its files.
      if (args[0] === "dumpxml" && args[1] === "project-docs" && args.includes("--inactive")) {
        for (const file of theirs) rmSync(file, { force: true });
        if (domainToo) virsh.domains.delete("project-docs");
      }
      return answer;
    });
    await run(false);
    expect(virsh.pools.size).toBe(0);
  });

  test("keeps a project disk while the image of somebody else's VM is missing, which may stand on it", async () => {
    virsh.domains.set("rescue", { description: "", running: false, disks: ["/nowhere/project.qcow2"] });
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
  });

  test("keeps a project disk that an image stands on through one whose format nothing says, as QEMU before 6.1 made it", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "teardown-"));
    const [below, above] = [path.join(folder, "below"), path.join(folder, "above")] as const;
    const create = (...args: string[]) => execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...args]);
    create("-u", "-F", "qcow2", "-b", disk, below, "1M");
    create("-u", "-F", "qcow2", "-b", below, above, "1M");
    // The name of the header's extension for the format is made one that nobody knows.
    const image = readFileSync(above);
    image.writeUInt32BE(0x12345678, image.indexOf(Buffer.from("e2792aca", "hex")));
    writeFileSync(above, image);
    virsh.domains.set("rescue", { description: "", running: false, disks: [above] });
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(
      keptFor(
        `whether ${above} stands on it is not known: ${below}: it may be a qcow2 image, but what names it does not say which format it has`,
      ),
    );
  });

  test.each([true, false])("goes through while a pool of others hangs (keepData: %s)", async (keepData) => {
    virsh.pools.set("nfs", new Map());
    const silent = (args: string[]) => new VirshError("fake", args, undefined, "no answer within 60 s");
    const { ask } = virsh;
    // One that hangs takes the answers to all that is asked with it along.
    vi.spyOn(virsh, "ask").mockImplementation(async (batch) => {
      const hangs = batch.find(([verb, pool]) => verb === "pool-refresh" && pool === "nfs");
      if (hangs) throw silent(hangs);
      return ask(batch);
    });
    const real = FakeVirsh.prototype.run.bind(virsh);
    const asked: string[] = [];
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      asked.push(args.join(" "));
      if (args.join(" ") === "pool-refresh nfs") throw silent(args);
      return real(...args);
    });
    await run(keepData);
    expect([...virsh.domains.keys(), ...left()]).toEqual(["project.qcow2"]);
    // Nothing of others is read again, which would stop a pool that cannot be, but for a disk that is to be deleted.
    expect(asked.includes("pool-refresh nfs")).toBe(!keepData);
  });

  test("keeps a project disk while a pool is stopped that may have a clone of it", async () => {
    virsh.pools.set("clones", new Map());
    virsh.stopped.add("clones");
    await run(false);
    expect(left()).toEqual(["project.qcow2"]);
    expect(said).toContain(
      keptFor("whether a volume of the pool clones stands on it is not known: the pool is stopped"),
    );
  });

  test.each([
    ["a console's folder, which a killed update has left, and holds logs", "web.console", "/vms/web.console", []],
    ["one that is only called alike", "web.console", "/clones/web.console", ["project.qcow2"]],
    ["one of another name there", "web", "/vms/web.console", ["project.qcow2"]],
    ["one that does not tell its folder", "web.console", undefined, ["project.qcow2"]],
  ])("with keepData false and a stopped pool, %s, leaves what may be in use", async (_, pool, folder, expected) => {
    virsh.pools.set(pool, new Map());
    virsh.stopped.add(pool);
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args[0] !== "pool-dumpxml" || args[1] !== pool) return real(...args);
      if (folder === undefined) throw new VirshError("fake", args, 1, "no such pool", true);
      return `<pool><name>${pool}</name><target><path>${folder}</path></target></pool>`;
    });
    await run(false);
    expect(left()).toEqual(expected);
  });

  test("with keepData false takes the mark of a restore that was cut off along", async () => {
    const name = "project.qcow2.restoring.first";
    virsh.pools.get("project-webapp")?.set(name, { path: `/vms/webapp/${name}` });
    await run(false);
    expect(virsh.pools.size).toBe(0);
  });

  test("touches nothing of a VM that is somebody else's", async () => {
    virsh.domains.set("project-webapp", { ...ours, description: "project-vms stack raider" });
    await expect(run(false)).rejects.toThrow("The domain project-webapp on this host belongs to somebody else.");
    expect([virsh.changes, left()]).toEqual([[], files]);
  });

  test("leaves what somebody put beside it, and the pool with it", async () => {
    virsh.pools.get("project-webapp")?.set("notes.raw", { path: "/vms/webapp/notes.raw" });
    await run(false);
    expect(left()).toEqual(["notes.raw"]);
  });
});
