import { describe, expect, test } from "vitest";
import { emptyWorld, foresee, type World, withMarks } from "../../e2e/support/data-model.ts";
import { Edits } from "../../e2e/support/edits.ts";
import {
  effectOn,
  foreseeAfter,
  type ManualChange,
  manualChanges,
  Others,
  withWork,
} from "../../e2e/support/others-model.ts";
import { type Entry, firstConfig, type SweepConfig } from "../../e2e/support/sweep-config.ts";

const config = (projects: Record<string, Entry>): SweepConfig => ({ ...firstConfig, projects });
const worldOf = (entry: Entry) =>
  withMarks(foresee(emptyWorld(firstConfig), config({ app: entry, web: {} })).world).world;
const before = worldOf({});
const edits = {
  none: config({ app: {}, web: { memory: 192 } }),
  settings: config({ app: { autostart: true }, web: {} }),
  grown: config({ app: { disk: 160 }, web: {} }),
  redefined: config({ app: { memory: 192 }, web: {} }),
  rebuilt: config({ app: { rebuild: "again" }, web: {} }),
  removed: config({ web: {} }),
};
type EditName = keyof typeof edits;

/** What must come of an edit after a change that was done to `app`. */
const foreseen = (change: ManualChange, edit: EditName, world = before) =>
  foreseeAfter(world, { change, project: "app", config: edits[edit] });

describe("what an edit is to a VM", () => {
  test.each<[EditName, string]>([
    ["none", "none"],
    ["settings", "settings"],
    ["grown", "grown"],
    ["redefined", "redefined"],
    ["rebuilt", "redefined"],
    ["removed", "removed"],
  ])("%s", (edit, effect) => {
    expect(effectOn(before, foresee(before, edits[edit]).world, "app")).toBe(effect);
  });

  test("another keepData is no new definition", () => {
    const { world } = foresee(before, config({ app: { keepData: false }, web: {} }));
    expect(effectOn(before, world, "app")).toBe("settings");
  });
});

describe("what must come of an update", () => {
  const refusedWhereItIsWorkedOn = {
    ...{ none: "done", settings: "done" },
    ...{ grown: "refused", redefined: "refused", rebuilt: "refused", removed: "stopped" },
  };
  test.each<[ManualChange, Record<EditName, string>]>([
    ["external snapshot", refusedWhereItIsWorkedOn],
    ["managedsave", refusedWhereItIsWorkedOn],
    [
      "undefine",
      { none: "done", settings: "done", grown: "done", redefined: "done", rebuilt: "done", removed: "done" },
    ],
    [
      "attach-disk",
      { none: "done", settings: "done", grown: "done", redefined: "done", rebuilt: "done", removed: "done" },
    ],
    [
      "pool stopped",
      {
        none: "refused",
        settings: "refused",
        grown: "refused",
        redefined: "refused",
        rebuilt: "refused",
        removed: "done",
      },
    ],
  ])("after %s", (change, ends) => {
    for (const [edit, end] of Object.entries(ends))
      expect([edit, foreseen(change, edit as EditName).end]).toEqual([edit, end]);
  });

  test("that was refused or stopped: the world is as before, and the output names the VM or what libvirt misses", () => {
    for (const change of manualChanges) {
      for (const edit of Object.keys(edits) as EditName[]) {
        const { end, world, says, refusals } = foreseen(change, edit);
        if (end === "done") continue;
        expect(world).toEqual(before);
        expect(says.length + refusals.length).toBeGreaterThan(0);
      }
    }
  });

  test("no change takes a project disk away that stays without it, nor a mark from it", () => {
    for (const change of manualChanges) {
      for (const edit of Object.keys(edits) as EditName[]) {
        const { world } = foreseen(change, edit);
        expect(Object.keys(world.disks)).toEqual(["app", "web"]);
        expect(world.disks.app?.marks).toEqual(before.disks.app?.marks);
      }
    }
  });

  test("devices that were added are dropped by a new definition alone, which names them", () => {
    expect(foreseen("attach-disk", "grown")).toMatchObject({ stands: true, says: [] });
    expect(foreseen("attach-interface", "grown").end).toBe("refused");
    expect(foreseen("attach-interface", "none")).toMatchObject({ end: "done", stands: true });
    expect(foreseen("attach-interface", "redefined")).toMatchObject({ end: "done", stands: false });
    expect(foreseen("attach-disk", "rebuilt").stands).toBe(false);
    expect("app: restart, DROPS what was added by hand: disk vdd (/x, the file stays), data kept").toMatch(
      foreseen("attach-disk", "redefined").says[0] as RegExp,
    );
    expect(foreseen("detach-interface", "none").stands).toBe(false);
    expect(foreseen("detach-interface", "redefined").stands).toBe(false);
  });

  test("a VM on an overlay: the output names both disks, as the product writes it", () => {
    const file = (name: string, target: string) =>
      `project-app: must have /vms/app/${name}.qcow2 as ${target}, but has /vms/app/${name}.others`;
    const output = [file("disk", "vda"), file("project", "vdb")].join("\n");
    const { says } = foreseen("external snapshot", "redefined");
    expect(says).toHaveLength(2);
    for (const text of says) expect(output).toMatch(text);
    for (const text of says) expect(output.replaceAll("/app/", "/web/")).not.toMatch(text);
  });
});

describe("a VM whose data is not to be kept", () => {
  const world = worldOf({ keepData: false });
  const disks = (change: ManualChange) => Object.keys(foreseen(change, "removed", world).world.disks).sort();

  test("is removed with its disk where libvirt still knows its word and its disk", () => {
    for (const change of ["managedsave", "attach-disk", "detach-interface", "pool stopped"] as const) {
      expect([change, disks(change)]).toEqual([change, ["web"]]);
    }
  });

  test("is removed without its disk where either is gone", () => {
    for (const change of ["undefine", "pool undefined", "disk renamed"] as const) {
      expect([change, disks(change)]).toEqual([change, ["app", "web"]]);
    }
    expect(foreseen("undefine", "removed", world).says).toHaveLength(1);
    expect(foreseen("undefine", "removed").says).toHaveLength(0);
  });
});

describe("an undefined domain", () => {
  test("gives its disk to a new one in whatever size, and its root as it is, which is neither made smaller nor recreated", () => {
    expect(foreseen("undefine", "grown")).toMatchObject({ refusals: [], world: { disks: { app: { size: 160 } } } });
    const root = before.vms.app?.root;
    expect(foreseen("undefine", "rebuilt").world.vms.app?.root).toEqual({ ...root, request: "again from the stack's" });
    const big = worldOf({ rootDisk: 2048 });
    expect(foreseen("undefine", "rebuilt", big).refusals.map(({ path }) => path)).toEqual(["projects.app.rootDisk"]);
    expect(foreseen("undefine", "removed").world.vms.app).toBeUndefined();
  });
});

test("what is written after a change never lies where something was written before", () => {
  let world: World = before;
  for (let n = 0; n < 300; n++) ({ world } = withWork(world, "app"));
  const marks = (world.disks.app?.marks ?? []).toSorted((a, b) => a.at - b.at);
  expect(marks).toHaveLength(303);
  for (const [i, { at }] of marks.slice(1).entries()) {
    expect(at).toBeGreaterThanOrEqual((marks[i]?.at ?? 0) + (marks[i]?.length ?? 0));
  }
  expect(foresee(before, firstConfig).world.disks.app?.marks).toEqual(before.disks.app?.marks);
});

describe("generated manual changes", () => {
  /** What a sweep would do, and what must come of it. */
  function sweep(seed: number, count: number) {
    const [all, others] = [new Edits(seed), new Others(seed)];
    let { world } = withMarks(foresee(emptyWorld(firstConfig), firstConfig).world);
    return Array.from({ length: count }, () => {
      const past = others.next(world, all);
      const edit = past ?? all.next(world);
      const outcome = past && foreseeAfter(world, past);
      const after = outcome?.end === "done" ? outcome.world : foresee(world, edit.config).world;
      world = withMarks(after).world;
      return { edit, outcome };
    });
  }

  test("are the same for the same seed, and others for another", () => {
    expect(sweep(1, 30)).toEqual(sweep(1, 30));
    expect(sweep(1, 30)).not.toEqual(sweep(2, 30));
  });

  test("are of all kinds, each with all that can come of it, in a hundred", () => {
    const done = sweep(3, 100);
    const seen = new Set(
      done.map(({ edit, outcome }) => `${"change" in edit ? edit.change : "no change"}: ${outcome?.end}`),
    );
    for (const change of manualChanges) expect(seen).toContain(`${change}: done`);
    for (const change of ["external snapshot", "managedsave", "pool stopped", "pool undefined", "disk renamed"])
      expect(seen).toContain(`${change}: refused`);
  });
});
