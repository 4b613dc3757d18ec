import { describe, expect, test } from "vitest";
import { digestInName, imageUsage, isNewerThanMarker } from "../../../src/images/usage.ts";
import { baseFile, baseImage, basePool, found, named, overlay, projectPool } from "./samples.ts";

const usage = (...pools: Parameters<typeof found>[0]) => imageUsage(found(pools), "/vms");
const [a, b] = [named("a"), named("b")];

describe("base images", () => {
  test("with their sizes, their markers, and what stands on them", () => {
    const pools = [
      basePool(baseFile(b), baseFile(a, 100), baseFile(`${a}.sha512`, 101)),
      projectPool("webapp", overlay("/vms/webapp/disk.qcow2", a)),
      projectPool("api", overlay("/vms/api/disk.qcow2", a)),
      { ...projectPool("bobs"), name: "images", path: "/srv/images", volumes: [overlay("/srv/images/x.qcow2", b)] },
    ];
    expect(imageUsage(found(pools), "/vms")).toEqual({
      images: [
        {
          name: a,
          path: `/vms/base/${a}`,
          capacity: 4096,
          allocation: 512,
          modified: 100,
          marker: { path: `/vms/base/${a}.sha512`, modified: 101 },
          projects: ["api", "webapp"],
          others: [],
          domains: [],
        },
        {
          name: b,
          path: `/vms/base/${b}`,
          capacity: 4096,
          allocation: 512,
          marker: undefined,
          projects: [],
          others: ["/srv/images/x.qcow2"],
          domains: [],
        },
      ],
      missing: [],
    });
  });

  test.each([
    ["its path", `/vms/base/${a}`],
    ["a path with steps", `/vms/webapp/../base/${a}`],
    ["a path through a link", `/mnt/disk2/vms/base/${a}`],
    ["a specification in JSON", `json:{"driver":"qcow2","file":{"driver":"file","filename":"/vms/base/${a}"}}`],
  ])("are stood on by %s", (_, backingPath) => {
    const disk = { ...overlay("/vms/webapp/disk.qcow2", a), backingPath };
    expect(usage(basePool(baseFile(a)), projectPool("webapp", disk)).images).toMatchObject([{ projects: ["webapp"] }]);
  });

  test("name a project once, whatever it has beside its root disk", () => {
    const snapshot = overlay("/vms/webapp/before.qcow2", a);
    const pool = projectPool("webapp", overlay("/vms/webapp/disk.qcow2", a), snapshot);
    expect(usage(basePool(baseFile(a)), pool).images).toMatchObject([{ projects: ["webapp"], others: [] }]);
  });

  test("name the pool's volume where a pool of a project's name is elsewhere", () => {
    const elsewhere = { ...projectPool("webapp", overlay("/old/webapp/disk.qcow2", a)), path: "/old/webapp" };
    expect(usage(basePool(baseFile(a)), elsewhere).images).toMatchObject([
      { projects: [], others: ["/old/webapp/disk.qcow2"] },
    ]);
  });

  test("are known by a name that tells a digest; a file of another name, or with a backing file, is none", () => {
    const pool = basePool(baseFile("notes.txt"), baseFile("debian.qcow2"), overlay(`/vms/base/${b}`, a), baseFile(a));
    expect(usage(pool).images).toMatchObject([{ name: a, others: [`/vms/base/${b}`] }]);
  });

  test("name the domains that have them as a disk", () => {
    const domains = [{ name: "rescue", diskPaths: [`/mnt/link/${a}`] }];
    expect(imageUsage(found([basePool(baseFile(a))], domains), "/vms").images).toMatchObject([{ domains: ["rescue"] }]);
  });

  test.each([
    ["not there", []],
    ["not active", [{ ...basePool(), active: false }]],
    ["elsewhere", [{ ...basePool(baseFile(a)), path: "/old/base" }]],
  ])("of a pool that is %s: nothing is known, and nothing is missing", (_, pools) => {
    const project = projectPool("webapp", overlay("/vms/webapp/disk.qcow2", a));
    expect(usage(...pools, project)).toEqual({ images: [], missing: [] });
  });
});

describe("missing base images", () => {
  test("are named with what stands on them", () => {
    const pools = [
      { ...basePool(baseFile(a)), path: "/vms/base/" },
      projectPool("webapp", overlay("/vms/webapp/disk.qcow2", b)),
      projectPool("api", overlay("/vms/api/disk.qcow2", b), overlay("/vms/api/elsewhere.qcow2", "/old/base/x.qcow2")),
      projectPool("cli", overlay("/vms/cli/disk.qcow2", a)),
    ];
    expect(usage(...pools).missing).toEqual([
      { name: b, path: `/vms/base/${b}`, projects: ["api", "webapp"], others: [] },
    ]);
  });

  test("are not those files of the folder that are no base images but there", () => {
    const disk = { ...overlay("/vms/webapp/disk.qcow2", a), backingPath: "/vms/base/own.qcow2" };
    expect(usage(basePool(baseFile("own.qcow2")), projectPool("webapp", disk)).missing).toEqual([]);
  });
});

test.each([
  ["debian-testing-0123456789ab.qcow2", "0123456789ab"],
  ["debian-testing-0123456789ab.qcow2.sha512", undefined],
  ["debian-testing.qcow2", undefined],
])("the digest in the name %s is %s", (name, digest) => {
  expect(digestInName(name)).toBe(digest);
});

test.each([
  [100.2, 100.1, true],
  [100.1, 100.1, false],
  [100, 200, false],
  [undefined, 200, false],
  [100, undefined, false],
])("an image of %s with a marker of %s is newer: %s", (modified, marker, is) => {
  const image = baseImage(a, {
    ...(modified ? { modified } : {}),
    marker: { path: "", ...(marker ? { modified: marker } : {}) },
  });
  expect(isNewerThanMarker(image)).toBe(is);
});
