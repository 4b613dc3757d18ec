import { beforeEach, describe, expect, test, vi } from "vitest";
import { tearDown } from "../../../src/lifecycle/teardown.ts";
import { FakeVirsh } from "./fake-virsh.ts";

// Nobody waits a minute for a guest that does not go.
vi.mock("../../../src/guest/power.ts", async (original) => ({ ...(await original<object>()), shutdownSeconds: 1 }));

const disk = "/vms/webapp/project.qcow2";
const files = ["disk.qcow2", "seed.iso", "project.qcow2"];
const off = {
  description: "project-vms stack storage",
  running: false,
  keepData: false,
  disks: ["/vms/webapp/disk.qcow2", disk],
};
let virsh: FakeVirsh;
let said: string[];
beforeEach(() => {
  virsh = new FakeVirsh();
  said = [];
  virsh.domains.set("project-webapp", { ...off });
  virsh.pools.set("project-webapp", new Map(files.map((name) => [name, { path: `/vms/webapp/${name}` }])));
});

const run = () =>
  tearDown(virsh, { uri: "fake", project: "webapp", owner: "storage", keepData: false }, {}, (line) => said.push(line));
const left = () => [...(virsh.pools.get("project-webapp")?.keys() ?? [])];
const isThere = () => virsh.domains.has("project-webapp");
const saveMemory = () => virsh.domains.set("project-webapp", { ...off, saved: true });
const useDisk = () => virsh.domains.set("rescue", { description: "", running: false, disks: [disk] });

/** Has the libvirt do more when it is asked to do something. */
function when(verb: string, act: () => void) {
  const real = FakeVirsh.prototype.run.bind(virsh);
  vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
    if (args[0] === verb) act();
    return real(...args);
  });
}

/** A guest that was paused because its host is full, and hears nothing. */
function pause() {
  virsh.domains.set("project-webapp", { ...off, running: true, state: "paused (I/O error)" });
  const real = FakeVirsh.prototype.run.bind(virsh);
  vi.spyOn(virsh, "run").mockImplementation(async (...args) =>
    ["resume", "shutdown"].includes(args[0] ?? "") ? "" : real(...args),
  );
}

/** What keeps a project disk although keepData is false, and how that is reported. */
const keepers: [string, () => void, string][] = [
  [
    "a pool of others is stopped",
    () => {
      virsh.pools.set("isos", new Map());
      virsh.stopped.add("isos");
    },
    `whether a volume of the pool isos stands on it is not known: the pool is stopped (${disk})`,
  ],
  ["another domain has it", useDisk, `the domain rescue uses it (${disk})`],
  ["its pool is gone", () => virsh.pools.clear(), "its pool is gone"],
];

describe("what a guest has not written yet goes only with the disk that it belongs to", () => {
  test.each(keepers)("saved memory, where %s", async (_, keep, why) => {
    saveMemory();
    keep();
    const before = left();
    await expect(run()).rejects.toThrow("must not have saved memory");
    expect([isThere(), left(), virsh.changes]).toEqual([true, before, []]);
    expect(said).toEqual([`webapp: its project disk is kept, although keepData is false: ${why}`]);
  });

  test.each(keepers)("that of a guest that a full host has paused, where %s", async (_, keep) => {
    pause();
    keep();
    const before = left();
    await expect(run()).rejects.toThrow("is paused (I/O error) and does not resume. Nothing is lost.");
    expect([isThere(), left(), virsh.domains.get("project-webapp")?.running]).toEqual([true, before, true]);
  });

  test("and goes with a disk that goes", async () => {
    saveMemory();
    await run();
    expect([isThere(), virsh.pools.size]).toEqual([false, 0]);
    virsh.pools.set("project-webapp", new Map(files.map((name) => [name, { path: `/vms/webapp/${name}` }])));
    pause();
    await run();
    expect([isThere(), virsh.pools.size]).toEqual([false, 0]);
  });

  test("also where memory is saved and the disk used only after the first look", async () => {
    virsh.domains.set("project-webapp", { ...off, running: true });
    when("shutdown", () => {
      saveMemory();
      useDisk();
    });
    await expect(run()).rejects.toThrow("must not have saved memory");
    expect([isThere(), left()]).toEqual([true, files]);
  });

  test("also where memory is saved at the last moment: libvirt is not told to give it up", async () => {
    useDisk();
    when("undefine", saveMemory);
    await expect(run()).rejects.toThrow("Refusing to undefine while domain managed save image exists");
    expect([isThere(), left()]).toEqual([true, files]);
  });

  test("a teardown that was cut off after the disk went is done again to its end", async () => {
    saveMemory();
    when("undefine", () => {
      throw new Error("killed");
    });
    await expect(run()).rejects.toThrow("killed");
    expect(left()).toEqual(["disk.qcow2", "seed.iso"]);
    vi.restoreAllMocks();
    await run();
    expect([isThere(), virsh.pools.size]).toEqual([false, 0]);
  });

  test("a guest that is off is looked at once: nothing else is asked before its disk goes", async () => {
    const looks: string[] = [];
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args[0] === "pool-refresh") looks.push(args[1] ?? "");
      return real(...args);
    });
    virsh.pools.set("others", new Map());
    await run();
    expect(looks.filter((pool) => pool === "others")).toHaveLength(1);
    expect(virsh.pools.size).toBe(1);
  });
});
