import { describe, expect, test } from "vitest";
import { parseStackConfig } from "../../../src/config/parse.ts";
import { emptyWorld, foresee, withMarks } from "../../e2e/support/data-model.ts";
import { Edits } from "../../e2e/support/edits.ts";
import { firstConfig, type ImageConfig, written } from "../../e2e/support/sweep-config.ts";
import { asPulumi, file } from "../config/samples.ts";

const host = { uri: "qemu:///system", storageDir: "/vms" };
const image = (digit: string): ImageConfig => ({ kind: "url", url: `file:///${digit}`, sha512: digit.repeat(128) });
const images = { a: image("a"), b: image("b") };

/** What a sweep would do, and what must come of it. */
function sweep(seed: number, count: number) {
  const edits = new Edits(seed);
  let { world } = foresee(emptyWorld(firstConfig), firstConfig);
  return Array.from({ length: count }, () => {
    const edit = edits.next(world);
    const before = world;
    const foreseen = foresee(world, edit.config);
    world = withMarks(foreseen.world).world;
    return { ...edit, before, refusals: foreseen.refusals, world };
  });
}

describe("generated edits", () => {
  test("are the same for the same seed, and others for another", () => {
    expect(sweep(1, 50)).toEqual(sweep(1, 50));
    expect(sweep(1, 50)).not.toEqual(sweep(2, 50));
  });

  test("are all valid configs with the settings that are meant", () => {
    for (const { config } of sweep(3, 300)) {
      const parsed = parseStackConfig(asPulumi(written(config, host, images)), file);
      expect(Object.keys(parsed.projects)).toEqual(Object.keys(config.projects));
      for (const [name, { memory, disk, keepData }] of Object.entries(parsed.projects)) {
        const { [name]: entry = {} } = config.projects;
        const meant = { ...config.defaults, ...entry };
        expect({ memory, disk, keepData }).toEqual({
          memory: meant.memory * 2 ** 20,
          disk: meant.disk * 2 ** 20,
          keepData: meant.keepData,
        });
      }
    }
  });

  test("are of all kinds, some refused and most not", () => {
    const edits = sweep(4, 400);
    const all = edits.map(({ what }) => what.join("; ")).join("\n");
    const kinds = ["add", "comes back", "remove", "rename", "reorder", "no .* of its own", "image [ab]", "default"];
    const more = ["the stack's image", "network 10", "no host", "SSH key", "sizes in", "memory", "cpus", "rootDisk"];
    for (const kind of [...kinds, ...more, "rebuild", "autostart", "keepData"]) expect(all).toMatch(new RegExp(kind));
    const refused = edits.filter(({ refusals }) => refusals.length > 0).length;
    expect(refused).toBeGreaterThan(40);
    expect(refused).toBeLessThan(160);
    expect(edits.some(({ what }) => what.length > 2)).toBe(true);
    const deleted = edits.filter(({ before, world }) => Object.keys(before.disks).some((name) => !world.disks[name]));
    expect(deleted.length).toBeGreaterThan(10);
    const takenUp = edits.filter(({ before, world }) =>
      Object.keys(world.vms).some((name) => !before.vms[name] && before.disks[name]),
    );
    expect(takenUp.length).toBeGreaterThan(10);
  });
});
