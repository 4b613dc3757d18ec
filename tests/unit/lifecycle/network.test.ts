import { beforeEach, describe, expect, test } from "vitest";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { tearDownNetwork } from "../../../src/lifecycle/network.ts";

/** Which stack a VM is of, and which networks its interfaces are in. */
interface Vm {
  stack: string;
  networks: string[];
  disk?: string;
}

const teardown = { uri: "qemu:///system", name: "storage-net", owner: "storage" };
let vms: Record<string, Vm>;
let networks: string[];
let said: string[];

beforeEach(() => {
  vms = {};
  networks = ["default", "storage-net"];
  said = [];
});

/** A libvirt of two networks, that remembers which are left. */
const virsh: Virsh = {
  uri: "qemu:///system",
  async run(verb = "", name = "", ...more) {
    switch (verb) {
      case "list":
        return Object.keys(vms).join("\n");
      case "domiflist":
        return table(vms[name]?.networks ?? []);
      case "dumpxml":
        return `<domain><name>${name}</name><uuid>u</uuid><description>project-vms stack ${vms[name]?.stack}</description><memory>1</memory><devices><disk><source file="${vms[name]?.disk ?? ""}"/></disk></devices></domain>`;
      case "net-list":
        return networks.join("\n");
      case "net-dumpxml":
        return `<network><name>${name}</name><uuid>u</uuid><domain name="storage.project-vms.internal"/></network>`;
      case "net-undefine":
        networks = networks.filter((network) => network !== name);
        return "";
      case "net-destroy":
        return "";
    }
    throw new Error(`not expected: ${[verb, name, ...more].join(" ")}`);
  },
  runPrivately: () => Promise.reject(new Error("nothing here is secret")),
};

/** As `virsh domiflist` prints it. */
const table = (sources: string[]) =>
  [
    " Interface   Type      Source        Model    MAC",
    "----------------------------------------------------",
    ...sources.map((source) => ` -           network   ${source}   virtio   52:54:00:00:00:01`),
    "",
  ].join("\n");

describe("the network of a stack that is destroyed", () => {
  test("goes with it", async () => {
    vms = { "project-docs": { stack: "storage", networks: ["storage-net"] } };
    await tearDownNetwork(virsh, teardown, (line) => said.push(line));
    expect({ networks, said }).toEqual({ networks: ["default"], said: [] });
  });

  test("stays for a copy that virt-manager has made of one of its VMs, marks and all", async () => {
    const disk = "/vms/docs/disk-clone.qcow2";
    vms = { "project-docs-clone": { stack: "storage", networks: ["storage-net"], disk } };
    await tearDownNetwork(virsh, teardown, (line) => said.push(line));
    expect({ networks, said }).toEqual({
      networks: ["default", "storage-net"],
      said: ["storage-net: kept, for project-docs-clone is on it"],
    });
  });

  test("goes although others' VMs are on another one", async () => {
    vms = { "project-shop": { stack: "raider", networks: ["default"] } };
    await tearDownNetwork(virsh, teardown, (line) => said.push(line));
    expect(networks).toEqual(["default"]);
  });

  test("goes although others' VMs are on one whose name begins as its own does", async () => {
    vms = { "project-shop": { stack: "raider", networks: ["storage-net of theirs"] } };
    await tearDownNetwork(virsh, teardown, (line) => said.push(line));
    expect(networks).toEqual(["default"]);
  });

  /** A libvirt that does not tell of a VM's interfaces; meanwhile that VM may go. */
  const silentOn = (name: string, meanwhile = () => {}): Virsh => ({
    ...virsh,
    run: async (...args) => {
      if (args[0] !== "domiflist" || args[1] !== name) return virsh.run(...args);
      meanwhile();
      throw new VirshError("qemu:///system", args, undefined, "Timed out during operation", true);
    },
  });

  test("stays where a VM that is there does not tell which networks it is on", async () => {
    vms = { "project-shop": { stack: "raider", networks: ["storage-net"] } };
    const removing = tearDownNetwork(silentOn("project-shop"), teardown, (line) => said.push(line));
    await expect(removing).rejects.toThrow("domiflist project-shop failed: Timed out during operation");
    expect(networks).toEqual(["default", "storage-net"]);
  });

  test("goes although a VM was removed while it was asked", async () => {
    vms = { "project-shop": { stack: "raider", networks: ["storage-net"] } };
    await tearDownNetwork(
      silentOn("project-shop", () => {
        vms = {};
      }),
      teardown,
      (line) => said.push(line),
    );
    expect({ networks, said }).toEqual({ networks: ["default"], said: [] });
  });

  test.each([
    ["net-dumpxml", "failed to get network 'storage-net'"],
    ["net-destroy", "error: Requested operation is not valid: network is not active"],
    ["net-undefine", "Network not found: no network with matching uuid"],
  ])("goes although what a killed engine had asked for took it away before `%s`", async (verb, reason) => {
    const overtaken: Virsh = {
      ...virsh,
      run: async (...args) => {
        if (args[0] !== verb || !networks.includes("storage-net")) return virsh.run(...args);
        networks = ["default"];
        throw new VirshError(virsh.uri, args, undefined, reason, true);
      },
    };
    await tearDownNetwork(overtaken, teardown, (line) => said.push(line));
    expect({ networks, said }).toEqual({ networks: ["default"], said: [] });
  });

  test("stays, and fails, where libvirt goes on saying that it is not there", async () => {
    const odd: Virsh = {
      ...virsh,
      run: async (...args) => {
        if (args[0] !== "net-undefine") return virsh.run(...args);
        throw new VirshError(virsh.uri, args, undefined, "failed to get network 'storage-net'", true);
      },
    };
    const removing = tearDownNetwork(odd, teardown, (line) => said.push(line));
    await expect(removing).rejects.toThrow("net-undefine storage-net failed: failed to get network 'storage-net'");
  });

  test.each([
    [["storage-net"], "their only one"],
    [["default", "storage-net"], "their second one"],
  ])("stays while others' VMs are on it: %s, %s", async (theirs) => {
    vms = {
      "project-shop": { stack: "raider", networks: theirs },
      "project-wiki": { stack: "raider", networks: theirs },
    };
    await tearDownNetwork(virsh, teardown, (line) => said.push(line));
    expect(networks).toEqual(["default", "storage-net"]);
    expect(said).toEqual(["storage-net: kept, for project-shop, project-wiki are on it"]);
  });
});
