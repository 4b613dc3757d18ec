import { describe, expect, test } from "vitest";
import { destroyed, emptyWorld, foresee, untouched, type World, withMarks } from "../../e2e/support/data-model.ts";
import { type Entry, firstConfig, type SweepConfig } from "../../e2e/support/sweep-config.ts";

const config = (projects: Record<string, Entry>, rest: Partial<SweepConfig> = {}): SweepConfig => ({
  ...firstConfig,
  ...rest,
  projects,
});

/** The world after ups with these configs, one after another, none of which is refused. */
function world(...configs: SweepConfig[]): World {
  return configs.reduce((before, next) => {
    const { refusals, world: after } = foresee(before, next);
    expect(refusals).toEqual([]);
    return withMarks(after).world;
  }, emptyWorld(firstConfig));
}

const refusals = (before: World, next: SweepConfig) => foresee(before, next).refusals.map(({ path }) => path);

describe("what must become of a project disk", () => {
  const one = config({ app: { disk: 128 } });

  test("that is removed: it is kept with its marks, and has them when it comes back, in whatever size is asked for", () => {
    const kept = world(one, config({}));
    expect(kept.disks).toEqual(world(one).disks);
    expect(world(one, config({}), one).disks).toEqual(kept.disks);
    const { marks } = kept.disks.app ?? {};
    for (const [asked, size] of [
      [144, 144],
      [112, 128],
    ] as const) {
      const { refusals: none, world: back } = foresee(kept, config({ app: { disk: asked } }));
      expect([none, back.disks.app]).toMatchObject([[], { size, marks }]);
    }
  });

  test("that came back bigger than asked for: its entry may stay, any other that asks for less is refused", () => {
    const smaller = config({ app: { disk: 112 } });
    const back = world(one, config({}), smaller);
    expect(refusals(back, config({ app: { disk: 112, memory: 256 } }))).toEqual([]);
    expect(foresee(back, config({ app: { disk: 96 } })).refusals).toEqual([
      {
        path: "projects.app.disk",
        says: ["must be at least 128 MiB", "a disk is never made smaller", 'but is "96 MiB"'],
      },
    ]);
    const grown = world(one, config({}), smaller, config({ app: { disk: 144 } }));
    expect(refusals(grown, smaller)).toEqual(["projects.app.disk"]);
  });

  test("that is not to be kept: it is deleted only if an up had said so before the one that removes it", () => {
    const discarded = config({ app: { disk: 128, keepData: false } });
    expect(world(one, discarded, config({})).disks).toEqual({});
    const defaults = { ...firstConfig.defaults, keepData: false };
    expect(Object.keys(world(one, config({}, { defaults })).disks)).toEqual(["app"]);
    expect(world(config({ app: {} }, { defaults }), config({})).disks).toEqual({});
    const refused = foresee(world(one), config({ app: { disk: 64, keepData: false } })).world;
    expect(Object.keys(foresee(refused, config({})).world.disks)).toEqual(["app"]);
  });

  test("that is made again after it was deleted: nothing of the old one is on it", () => {
    const discarded = config({ app: { keepData: false } });
    const [old, again] = [world(discarded), world(discarded, config({}), discarded)];
    expect(foresee(world(discarded, config({})), discarded).world.disks.app?.marks).toEqual([]);
    expect(again.disks.app?.marks).not.toEqual(old.disks.app?.marks);
  });

  test("that grows: what was on it is there, and its new end gets a mark", () => {
    const grown = foresee(world(one), config({ app: { disk: 160 } })).world;
    expect(grown.disks.app).toMatchObject({ size: 160, marks: world(one).disks.app?.marks });
    const { writes } = withMarks(grown);
    expect(writes).toMatchObject([{ project: "app", file: "project.qcow2", mark: { at: 160 * 2 ** 20 - 65536 } }]);
  });

  test("of a project that is renamed: it stays under the old name", () => {
    const renamed = world(one, config({ web: { disk: 128 } }));
    expect(Object.keys(renamed.vms)).toEqual(["web"]);
    expect(renamed.disks.app).toEqual(world(one).disks.app);
    expect(renamed.disks.web?.marks).not.toEqual(renamed.disks.app?.marks);
  });

  test("whose size comes from the defaults: a smaller default is refused for it alone", () => {
    const two = world(config({ app: { disk: 128 }, web: {} }));
    const defaults = { ...firstConfig.defaults, disk: 64 };
    expect(refusals(two, config({ app: { disk: 128 }, web: {} }, { defaults }))).toEqual(["projects.web.disk"]);
  });

  test("when the stack is destroyed: only those that are not to be kept go", () => {
    const two = world(config({ app: {}, web: { keepData: false } }));
    expect(destroyed(two)).toMatchObject({ vms: {}, disks: { app: two.disks.app } });
    expect(destroyed(two).disks.web).toBeUndefined();
  });
});

describe("what must become of a root disk", () => {
  const before = world(config({ app: { rootDisk: 2048 } }));
  const root = before.vms.app?.root;
  const after = (next: SweepConfig) => foresee(before, next).world.vms.app?.root;

  test.each<[string, Entry, Partial<SweepConfig>, "kept" | "a" | "b"]>([
    ["another stack-wide image", { rootDisk: 2048 }, { image: "b" }, "kept"],
    ["another default", { rootDisk: 2048 }, { defaults: { ...firstConfig.defaults, memory: 256 } }, "kept"],
    ["more room", { rootDisk: 3072 }, {}, "kept"],
    ["another text in rebuild", { rootDisk: 2048, rebuild: "1" }, {}, "a"],
    ["the same, and another stack-wide image", { rootDisk: 2048, rebuild: "1" }, { image: "b" }, "b"],
    ["an image of its own", { rootDisk: 2048, image: "b" }, {}, "b"],
    ["an image of its own, the stack's as it happens", { rootDisk: 2048, image: "a" }, {}, "a"],
    ["less room, and a rebuild", { rootDisk: 1024, rebuild: "1" }, {}, "a"],
  ])("%s: %o", (_, entry, rest, image) => {
    const now = after(config({ app: entry }, rest));
    expect(now).toMatchObject({ size: entry.rootDisk, image: image === "kept" ? root?.image : image });
    expect(now?.marks.length).toBe(image === "kept" ? root?.marks.length : 1);
  });

  test("less room without a rebuild: it is refused", () => {
    expect(refusals(before, config({ app: { rootDisk: 1152 } }))).toEqual(["projects.app.rootDisk"]);
    expect(refusals(before, config({ app: {} }))).toEqual(["projects.app.rootDisk"]);
  });

  test("gone and back with less room: it is a new one", () => {
    const back = world(config({ app: { rootDisk: 2048 } }), config({}), config({ app: {} }));
    expect(back.vms.app?.root).toMatchObject({ size: 1024 });
  });
});

test("an edit that is nothing to a VM leaves its definition alone", () => {
  const before = world(config({ app: {}, web: {} }));
  const of = (next: SweepConfig) => untouched(before, foresee(before, next).world);
  expect(of(config({ web: { disk: 256, autostart: true }, db: {}, app: {} }, { image: "b", spelling: "M" }))).toEqual([
    "web",
    "app",
  ]);
  expect(of(config({ app: { memory: 256 }, web: { keepData: false } }))).toEqual([]);
  expect(of(config({ app: {}, web: {} }, { cidr: "10.77.0.0/24" }))).toEqual(["app", "web"]);
  expect(of(config({ app: {}, web: {} }, { cidr: "10.78.0.0/24" }))).toEqual([]);
});

test("no two disks have the same marks", () => {
  const { disks, vms } = world(config({ app: {}, web: {}, db: {} }));
  const marks = [...Object.values(disks), ...Object.values(vms).map(({ root }) => root)].flatMap((disk) =>
    disk.marks.filter(({ length }) => length === 65536).map(({ byte }) => byte),
  );
  expect(new Set(marks).size).toBe(6);
});
