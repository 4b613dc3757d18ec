import { readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { ensureImage } from "../../src/images/image.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { NamedStack } from "./support/remote-stack.ts";
import type { Ran } from "./support/remote-workstation.ts";

const defaults = { memory: "256 MiB", cpus: 1, disk: "64 MiB", rootDisk: "8 GiB" };
const [home, away] = [new Checkout("two-stacks-home"), new Checkout("two-stacks-away")];
const up = ["up", "--yes", "--skip-preview"];

/** Domains, pools and networks of a checkout's own host, by name and UUID, and its files. */
async function whatIsOn({ host, virsh }: Checkout) {
  const kinds = ["list", "pool-list", "net-list"];
  const answers = await Promise.all(
    kinds.flatMap((kind) => ["--name", "--uuid"].map((by) => virsh.run(kind, "--all", by))),
  );
  return [...answers, ...readdirSync(host.storageDir, { recursive: true, encoding: "utf8" }).sort()];
}

beforeAll(async () => {
  for (const checkout of [home, away]) {
    await checkout.create({ running: false });
    await startEmbeddedHost(checkout.host, () => undefined);
  }
  await ensureImage({ kind: "build" }, console.error);
}, 30 * 60_000);
afterAll(async () => {
  for (const checkout of [home, away]) await checkout.remove();
});

describe("two stacks with the same names, each on a host of its own", () => {
  const stacks = [home, away].map((checkout) => new NamedStack(checkout, "local"));

  test("come up at the same time", async () => {
    for (const stack of stacks) await stack.init({ defaults, projects: { alpha: {}, beta: {} } });
    for (const result of await Promise.all(stacks.map((stack) => stack.pulumi(...up)))) expectSuccess(result);
    for (const stack of stacks) expectSuccess(await stack.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  test("one can be changed and destroyed without the other's knowing", async () => {
    const [one, other] = stacks as [NamedStack, NamedStack];
    const before = await whatIsOn(away);
    one.configure({
      defaults: { ...defaults, disk: "128 MiB" },
      projects: { alpha: { memory: "512 MiB" }, gamma: {} },
    });
    expectSuccess(await one.pulumi(...up));
    expect(await whatIsOn(away)).toEqual(before);
    expectSuccess(await one.pulumi("destroy", "--yes", "--skip-preview"));
    expect(await home.virsh.run("list", "--all", "--name")).toBe("");
    expect(await whatIsOn(away)).toEqual(before);
    expectSuccess(await other.pulumi("preview", "--refresh", "--expect-no-changes"));
  });
});

describe("two stacks on one host", () => {
  const { host, virsh } = home;
  const storage = new NamedStack(home, "storage");
  const raider = new NamedStack(away, "raider");
  const at = (network: unknown, storageDir = host.storageDir) => ({
    defaults,
    host: { uri: host.uri, storageDir, network },
  });
  const own = { name: "storage-net", cidr: "10.71.0.0/24" };
  const files = (folder: string) => readdirSync(path.join(host.storageDir, folder)).sort();

  /** A preview is refused, with nothing changed; gives what was said. */
  async function refusal(config: Record<string, unknown>): Promise<string> {
    const before = await whatIsOn(home);
    raider.configure(config);
    const { all } = await refuses("preview");
    await refuses(...up);
    expect(await whatIsOn(home)).toEqual(before);
    return all;
  }

  async function refuses(...command: string[]): Promise<Ran> {
    const result = await raider.pulumi(...command);
    expect(result.exitCode, result.all).not.toBe(0);
    expect(result.all).not.toMatch(/^\s+at .*\.(ts|js):\d+/m);
    return result;
  }

  beforeAll(async () => {
    await storage.init({ ...at(own), projects: { docs: {} } });
    expectSuccess(await storage.pulumi(...up));
    await raider.init({});
  }, 300_000);

  test("a VM of that name is the other stack's: refused, and it says whose it is", async () => {
    const all = await refusal({ ...at("storage-net"), projects: { docs: {}, shop: {} } });
    expect(all).toContain(
      `Pulumi.raider.yaml: projects.docs: the domain \`project-docs\` on ${host.uri} belongs to somebody else: it is of the Project VMs stack \`storage\` (shut off)`,
    );
    expect(all).toContain("choose another name");
    expect(all).not.toContain("projects.shop");
  });

  test("a network of that name is the other stack's: refused, and it says how to share it", async () => {
    const all = await refusal({ ...at(own), projects: { shop: {} } });
    expect(all).toContain(
      `Pulumi.raider.yaml: host.network.name: the network \`storage-net\` on ${host.uri} belongs to somebody else: its DNS domain is storage.project-vms.internal`,
    );
    expect(all).toContain("write `network: storage-net` to share it, or choose another name and cidr");
  });

  test("so are its addresses", async () => {
    const all = await refusal({ ...at({ name: "raider-net", cidr: "10.71.0.0/16" }), projects: { shop: {} } });
    expect(all).toContain("Pulumi.raider.yaml: host.network.cidr: must not overlap the network `storage-net`");
  });

  test("another storageDir would tear the base images apart: refused, and it says which one to take", async () => {
    const all = await refusal({ ...at("storage-net", `${host.dir}/elsewhere`), projects: { shop: {} } });
    expect(all).toContain(
      `Pulumi.raider.yaml: host.storageDir: the pool \`project-vms-base\` on ${host.uri} is not ours`,
    );
    expect(all).toContain(`set storageDir to \`${host.storageDir}\``);
  });

  test("with names of its own and the network shared, both work, on one base image", async () => {
    raider.configure({ ...at("storage-net"), projects: { shop: {} } });
    expectSuccess(await raider.pulumi(...up));
    for (const stack of [storage, raider]) expectSuccess(await stack.pulumi(...up, "--refresh", "--expect-no-changes"));
    expect(await virsh.run("domiflist", "project-shop")).toContain("storage-net");
    expect(files("base").filter((file) => file.endsWith(".qcow2"))).toHaveLength(1);
  });

  test("the one that is destroyed takes nothing of the other's along, nor what they share", async () => {
    const others = { image: files("base"), disks: files("shop"), uuid: await virsh.run("domuuid", "project-shop") };
    const all = expectSuccess(await storage.pulumi("destroy", "--yes", "--skip-preview"));
    expect(all).toContain("storage-net: kept, for project-shop is on it");
    expect(files("docs")).toEqual(["project.qcow2"]);
    expect({ image: files("base"), disks: files("shop"), uuid: await virsh.run("domuuid", "project-shop") }).toEqual(
      others,
    );
    expectSuccess(await raider.pulumi(...up, "--refresh", "--expect-no-changes"));
  });

  test("and comes back to what it left", async () => {
    expect(expectSuccess(await storage.pulumi(...up))).toContain("docs: new VM, adopts its kept project disk");
    expectSuccess(await raider.pulumi("destroy", "--yes", "--skip-preview"));
    expectSuccess(await storage.pulumi(...up, "--refresh", "--expect-no-changes"));
    expectSuccess(await storage.pulumi("destroy", "--yes", "--skip-preview"));
    expect(await virsh.run("net-list", "--all", "--name")).toBe("");
  });
});
