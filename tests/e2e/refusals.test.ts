import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { Checkout } from "./support/checkout.ts";

const checkout = new Checkout("refusals");
const { host, virsh } = checkout;
const defaults = { memory: "1 GiB", cpus: 2, disk: "2 GiB" };
const xmlFile = path.join(checkout.dir, "foreign.xml");

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(host, console.error);
  checkout.configure({ defaults });
  await checkout.pulumi("stack", "init");
});
afterAll(() => checkout.remove());

/** Previews the config, which must fail, with nothing made; gives what was said. */
async function refusal(config: Record<string, unknown>): Promise<string> {
  checkout.configure({ defaults, ...config });
  const { exitCode, all } = await checkout.pulumi("preview");
  expect(exitCode, all).not.toBe(0);
  // A user's mistake shows no stack.
  expect(all).not.toMatch(/^\s+at .*\.(ts|js):\d+/m);
  expect(existsSync(path.join(host.storageDir, "base"))).toBe(false);
  return all;
}

async function define(command: string, xml: string): Promise<void> {
  writeFileSync(xmlFile, xml);
  await virsh.run(command, xmlFile);
}

describe("what cannot be is refused at the preview, with the reason and the remedy", () => {
  test("YAML that does not parse, with file and line", async () => {
    const file = path.join(checkout.dir, "Pulumi.local.yaml");
    const whole = readFileSync(file);
    writeFileSync(file, "config:\n  project-vms:projects:\n    demo: {\n  other: ]\n");
    const byPulumi = await checkout.pulumi("preview");
    const byMake = await checkout.make("up");
    writeFileSync(file, whole);
    expect(byPulumi.exitCode).not.toBe(0);
    expect(byPulumi.all).toContain("invalid YAML file: yaml: line 3");
    expect(byMake.exitCode).not.toBe(0);
    expect(byMake.all).toContain(
      "Pulumi.local.yaml does not parse.\n  - Pulumi.local.yaml: line 4, column 3: must be YAML:",
    );
  });

  test("a pool of a project's name that is somebody else's", async () => {
    await define(
      "pool-define",
      "<pool type='dir'><name>project-demo</name><target><path>/srv/other</path></target></pool>",
    );
    expect(await refusal({ projects: { demo: {} } })).toContain(
      `Pulumi.local.yaml: projects.demo: the pool \`project-demo\` on ${host.uri} is not ours`,
    );
    await virsh.run("pool-undefine", "project-demo");
  });

  test("a folder of a project's name that is somebody else's, which is left as it is", async () => {
    const folder = path.join(host.storageDir, "demo");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "index.html"), "theirs");
    expect(await refusal({ projects: { demo: {} } })).toContain(
      `Pulumi.local.yaml: projects.demo: ${folder} on ${host.uri} must be empty, or hold what was made there before, but has index.html`,
    );
    expect(readFileSync(path.join(folder, "index.html"), "utf8")).toBe("theirs");
    rmSync(folder, { recursive: true });
  });

  test("a domain of a project's name that is somebody else's, which is left as it is", async () => {
    const domain = (description: string) =>
      `<domain type='qemu'><name>project-demo</name>${description}<memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os></domain>`;
    await define("define", domain("<description>project-vms stack storage</description>"));
    expect(await refusal({ projects: { demo: {} } })).toContain(
      `Pulumi.local.yaml: projects.demo: the domain \`project-demo\` on ${host.uri} belongs to somebody else`,
    );
    expect(await virsh.run("list", "--all", "--name")).toContain("project-demo");
    await virsh.run("undefine", "project-demo");
  });

  test("a network of our name that is somebody else's", async () => {
    await define("net-define", "<network><name>project-vms</name><bridge name='virbr9'/></network>");
    expect(await refusal({ projects: { demo: {} } })).toContain(
      `the network \`project-vms\` on ${host.uri} belongs to somebody else`,
    );
    await virsh.run("net-undefine", "project-vms");
  });

  test("a libvirt that cannot be reached, within seconds", async () => {
    const uri = "qemu+unix:///system?socket=/nowhere/libvirt-sock";
    const started = Date.now();
    const all = await refusal({ host: { uri }, projects: { demo: {} } });
    expect(all).toContain(uri);
    expect(all).toContain("/nowhere/libvirt-sock");
    expect(Date.now() - started).toBeLessThan(30_000);
  });

  test("more than the host has, all at once, with the host's figures", async () => {
    const all = await refusal({ projects: { big: { memory: "64 TiB", cpus: 5000, disk: "8000 TiB" } } });
    expect(all).toContain("Pulumi.local.yaml: projects.big.memory");
    expect(all).toContain("Pulumi.local.yaml: projects.big.cpus");
    expect(all).toContain("Pulumi.local.yaml: projects.big.disk");
  });
});
