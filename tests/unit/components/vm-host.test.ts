import type * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, test } from "vitest";
import { VmHost } from "../../../components/vm-host.ts";
import type { VmHostArgs } from "../../../components/vm-host-args.ts";
import { applyXslt } from "./apply-xslt.ts";
import { emptyInventory, registered, resolved, settings } from "./stack.ts";

const url = { kind: "url", url: "https://cloud.debian.org/images/cloud/x.qcow2", sha512: "ab".repeat(64) } as const;

beforeEach(() => {
  registered.length = 0;
});

async function make(args: Partial<VmHostArgs> = {}) {
  const host = new VmHost("storage", { settings, inventory: emptyInventory, image: url, ...args });
  await Promise.all([host.nodes.basePool, host.nodes.baseImage].map((child) => resolved(child.urn)));
  await resolved(host.networkName);
  const child = (role: string) => registered.find(({ name }) => name === `storage-${role}`)?.inputs;
  return { host, child };
}

describe("VmHost", () => {
  test("makes the base pool, the base image in it, and the network with its owner's mark", async () => {
    const { host, child } = await make();
    expect(child("basePool")).toMatchObject({ name: "project-vms-base", type: "dir", target: { path: "/vms/base" } });
    expect(child("baseImage")).toMatchObject({
      create: "PROJECT_VMS_SHELL=$$ node 'bin/entry.js' 'src/steps/publish-base-image.ts'; exit $?",
      environment: {
        PROJECT_VMS_IMAGE: JSON.stringify({ image: url, uri: "qemu:///system", pool: "project-vms-base" }),
      },
      triggers: [`url-${url.sha512}`],
    });
    expect(child("network")).toMatchObject({
      name: "project-vms",
      mode: "nat",
      addresses: ["10.77.0.0/24"],
      autostart: true,
      domain: "teststack.project-vms.internal",
    });
    expect(await resolved(host.image)).toEqual({
      name: "debian-testing-abc.qcow2",
      path: "/vms/base/debian-testing-abc.qcow2",
    });
  });

  test("an image that is published is not published again because the step is elsewhere", async () => {
    const seen: pulumi.CustomResourceOptions[] = [];
    await make({ transform: { baseImage: (_: object, opts: pulumi.CustomResourceOptions) => void seen.push(opts) } });
    expect(seen.map(({ ignoreChanges }) => ignoreChanges)).toEqual([["create"]]);
  });

  test("a new network's bridge takes no part in the spanning tree; one that is there is not recreated for that", async () => {
    const seen: pulumi.CustomResourceOptions[] = [];
    const transform = { network: (_: object, opts: pulumi.CustomResourceOptions) => void seen.push(opts) };
    const { child } = await make({ transform });
    const { xslt } = (child("network") as { xml: { xslt: string } }).xml;
    const xml = (stp: string) => `<network><name>n</name><bridge name="virbr0" stp="${stp}" delay="0"/></network>`;
    expect(applyXslt(xslt, xml("on"))).toContain(xml("off"));
    registered.length = 0;
    const network = { name: "project-vms", uuid: "u", active: true, autostart: true, cidr: "10.77.0.0/24" };
    const there = await make({ transform, inventory: { ...emptyInventory, networks: [network] } });
    expect(there.child("network")).not.toHaveProperty("xml");
    expect(seen.map(({ ignoreChanges }) => ignoreChanges)).toEqual([undefined, ["xml"]]);
    registered.length = 0;
    registered.length = 0;
    const stopped = await make({
      transform,
      inventory: { ...emptyInventory, networks: [{ ...network, active: false }] },
    });
    expect(stopped.child("network")).toHaveProperty("xml");
    expect([seen.at(-1)?.import, seen.at(-1)?.ignoreChanges]).toEqual([undefined, ["xml"]]);
    registered.length = 0;
    const moved = await make({ inventory: { ...emptyInventory, networks: [{ ...network, cidr: "10.1.0.0/24" }] } });
    expect(moved.child("network")).toHaveProperty("xml");
  });

  test("an existing network is used by its name and not made", async () => {
    const { host, child } = await make({ settings: { ...settings, network: { kind: "existing", name: "default" } } });
    expect(child("network")).toBeUndefined();
    expect(await resolved(host.networkName)).toBe("default");
  });

  test("every child passes through its transform", async () => {
    const seen: string[] = [];
    const note = (_args: object, _opts: object, name: string) => void seen.push(name);
    await make({ transform: { basePool: note, baseImage: note, network: note, networkTeardown: note } });
    const roles = ["basePool", "baseImage", "networkTeardown", "network"];
    expect(seen).toEqual(roles.map((role) => `storage-${role}`));
  });

  test("names the image where its pool is now, whatever the step said when it ran", async () => {
    const { host } = await make({ settings: { ...settings, storageDir: "/srv/elsewhere" } });
    expect(await resolved(host.image)).toMatchObject({ path: "/srv/elsewhere/base/debian-testing-abc.qcow2" });
  });

  test("publishes each image once, whoever asks for it", async () => {
    const { host } = await make();
    const other = { ...url, sha512: "cd".repeat(64) };
    for (const image of [url, other, other]) await resolved(host.baseImage(image).published);
    const images = registered.filter(({ name }) => name.includes("baseImage")).map(({ name }) => name);
    expect(images).toEqual(["storage-baseImage", expect.stringMatching(/^storage-baseImage-[0-9a-f]{8}$/)]);
  });
});
