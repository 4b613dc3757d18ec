import { describe, expect, test } from "vitest";
import { parseStackConfig } from "../../../src/config/parse.ts";
import type { HostSettings } from "../../../src/config/settings.ts";
import { UserError } from "../../../src/core/errors.ts";
import type { Inventory, PoolFound } from "../../../src/libvirt/inventory.ts";
import { rootDigest } from "../../../src/lifecycle/definition.ts";
import { baseImageIssues } from "../../../src/preflight/base-image-checks.ts";
import { asPulumi, file } from "../config/samples.ts";
import { baseFile, basePool, found, named, overlay, projectPool } from "../images/samples.ts";

const uri = "qemu+ssh://root@storage/system";
const [a, b] = [named("a"), named("b")];
const rooted = (name: string, base: string) => projectPool(name, overlay(`/vms/${name}/disk.qcow2`, base));

interface Case {
  projects: Record<string, object>;
  pools: PoolFound[];
  domains?: Inventory["domains"];
}

/** The issues as the user sees them. */
function issues({ projects, pools, domains = [] }: Case): string {
  const config = parseStackConfig(asPulumi({ host: { uri, storageDir: "/vms" }, projects }), file);
  const inventory: Inventory = {
    ...{
      uri,
      memory: 0,
      cpus: 1,
      firmwares: ["bios", "uefi"],
      virtualization: "kvm",
      hypervisorVersion: "",
      storage: undefined,
      networks: [],
    },
    pools,
    domains,
  };
  const host = config.host as HostSettings;
  return new UserError("", baseImageIssues({ config, host, inventory, stack: "storage", file })).message.trimStart();
}

/** The domain of a project whose root disk was made from a request. */
const made = (name: string, rebuild?: string) => {
  const [domain] = found([], [{ name: `project-${name}`, diskPaths: [] }]).domains;
  return { ...domain, marks: { root: rootDigest({ rebuild }) } } as Inventory["domains"][number];
};

describe("a base image that is not there", () => {
  const fact = `must have the base image that its root disk stands on, but /vms/base/${b} is missing on ${uri}`;
  const remedy = `put that file back (its SHA-512 begins with bbbbbbbbbbbb) and run \`virsh -c ${uri} pool-refresh project-vms-base\`; or write another \`rebuild: <any text>\` into the entry: a new root disk, the project disk is kept`;
  const pools = [basePool(baseFile(a)), rooted("webapp", b), rooted("api", b), rooted("cli", a)];

  test("is told with the projects of the config that stand on it", () => {
    expect(issues({ projects: { webapp: {}, cli: {} }, pools })).toBe(
      `- Pulumi.local.yaml: projects.webapp: ${fact}\n    ${remedy}`,
    );
    expect(issues({ projects: { webapp: {}, cli: {}, api: {} }, pools })).toBe(
      `- Pulumi.local.yaml: projects.api (and projects.webapp): ${fact}\n    ${remedy}`,
    );
  });

  test("is nobody's matter who does not stand on it, or gets a new root by this update", () => {
    expect(issues({ projects: { cli: {} }, pools })).toBe("");
    expect(issues({ projects: { webapp: { rebuild: "2" } }, pools, domains: [made("webapp", "1")] })).toBe("");
    expect(issues({ projects: { webapp: { rebuild: "1" } }, pools, domains: [made("webapp", "1")] })).toContain(fact);
  });

  test("cannot be told of a pool that is stopped", () => {
    const stopped = { ...basePool(), active: false };
    expect(issues({ projects: { webapp: {} }, pools: [stopped, rooted("webapp", b)] })).toBe("");
  });
});

describe("a base image that is newer than its marker", () => {
  const pools = (image: number, marker: number) => [
    basePool(baseFile(a, image), baseFile(`${a}.sha512`, marker)),
    rooted("webapp", a),
  ];

  test("may have been altered", () => {
    expect(issues({ projects: { webapp: {} }, pools: pools(200.5, 200.25) })).toBe(
      [
        `- Pulumi.local.yaml: projects.webapp: must stand on a base image as it was uploaded, but /vms/base/${a} on ${uri} may have been altered since: it is newer than its .sha512`,
        "    compare its contents: `project-vm images verify --stack storage`",
      ].join("\n"),
    );
  });

  test("also for a project that gets a new root: it may be put on the same image", () => {
    const projects = { webapp: { rebuild: "2" } };
    expect(issues({ projects, pools: pools(2, 1), domains: [made("webapp", "1")] })).toContain("may have been altered");
  });

  test("is fine the other way round, and nobody's matter who does not stand on it", () => {
    expect(issues({ projects: { webapp: {} }, pools: pools(200, 200.5) })).toBe("");
    expect(issues({ projects: { other: {} }, pools: pools(200.5, 200) })).toBe("");
  });
});
