import { describe, expect, test } from "vitest";
import { instructions, type ProjectFacts, projectOutput } from "../../../src/checkout/outputs.ts";
import { aDomain } from "../found.ts";
import { aHostKey, aNode, anAddress, aTailnetAddress, aTailnetName } from "../guest/samples.ts";

const disks = { root: "/vms/app/disk.qcow2", project: "/vms/app/project.qcow2" };
const facts: ProjectFacts = {
  disks,
  ready: {
    seconds: 42,
    stages: { boot: 30, "cloud-init": 9, disk: 1, network: 1, docker: 1, nix: 1, claude: 1 },
    addresses: [anAddress("10.77.0.5")],
    hostKeys: [aHostKey()],
    tailnet: {
      name: aTailnetName("project-app.tail1234.ts.net"),
      addresses: [aTailnetAddress("100.64.0.7")],
      ...aNode(1),
    },
  },
  image: "debian-testing-new.qcow2",
  inventory: {
    uri: "qemu:///system",
    memory: 0,
    cpus: 0,
    firmwares: ["bios", "uefi"],
    virtualization: "kvm",
    hypervisorVersion: "",
    storage: undefined,
    pools: [],
    networks: [],
    domains: [],
  },
  ssh: { config: "/my work/.local/ssh/local/config" },
};

describe("projectOutput", () => {
  test("a VM that was just made runs", () => {
    expect(projectOutput("app", facts)).toEqual({
      name: "app",
      state: "running",
      addresses: ["10.77.0.5"],
      ssh: "ssh -F '/my work/.local/ssh/local/config' project-app",
      hostKeys: [aHostKey()],
      tailnetName: "project-app.tail1234.ts.net",
      tailnetAddresses: ["100.64.0.7"],
      disks,
      image: "debian-testing-new.qcow2",
      secondsToReady: 42,
      stages: facts.ready?.stages,
    });
  });

  test("the state of a VM that was there is what was found", () => {
    const inventory = { ...facts.inventory, domains: [aDomain({ name: "project-app", state: "shut off" })] };
    const output = projectOutput("app", { ...facts, ready: undefined, inventory });
    expect(output).toMatchObject({ state: "shut off", addresses: [], secondsToReady: undefined });
  });
});

describe("instructions", () => {
  test("say how to log in and where the data is", () => {
    expect(instructions("storage", "Pulumi.storage.yaml", [projectOutput("app", facts)])).toBe(
      [
        "Log in as dev. What is in /home/dev/project is on the project's own disk; the rest goes with the VM.",
        "  app: ssh -F '/my work/.local/ssh/local/config' project-app",
        "Add or remove projects under project-vms:projects in Pulumi.storage.yaml, then run `pulumi up -s storage`.",
        "A removed project's disk is kept on the host and adopted when the project comes back.",
      ].join("\n"),
    );
  });

  test("of an empty stack say how to begin", () => {
    expect(instructions("local", "Pulumi.local.yaml", [])).toBe(
      "Stack local has no projects yet. Add one, e.g. `myapp: {}`, under project-vms:projects in Pulumi.local.yaml, then run `pulumi up -s local`.",
    );
  });
});
