import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { stackProgram } from "../../index.ts";
import type { Inventory } from "../../src/libvirt/inventory.ts";
import { ShellError } from "../../src/libvirt/shell.ts";
import { emptyInventory, registered } from "./components/stack.ts";
import { asPulumi, ed25519 } from "./config/samples.ts";
import { aDomain } from "./found.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, statfs: vi.fn(real.statfs) };
});

/** What is on the host, and what mounted.sh says there. */
const there = vi.hoisted(() => ({ inventory: undefined as Inventory | undefined, mounted: "" }));
vi.mock("../../src/libvirt/inventory.ts", async (original) => ({
  ...(await original()),
  takeInventory: async () => there.inventory,
}));
vi.mock("../../src/libvirt/shell.ts", async (original) => ({
  ...(await original<object>()),
  shellFor: (uri: string) => ({
    uri,
    run: async () => {
      if (there.mounted !== "") throw new ShellError(uri, ["sh"], 1, there.mounted);
      return "";
    },
  }),
}));

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "program-"));
  writeFileSync(path.join(root, "Pulumi.yaml"), "name: project-vms\n");
  vi.spyOn(process, "cwd").mockReturnValue(root);
  const host = { uri: emptyInventory.uri, storageDir: "/srv/vms" };
  const config = asPulumi({ host, sshKeys: [ed25519], projects: { webapp: {} } });
  pulumi.runtime.setAllConfig(config);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

describe("a stack's file that a killed engine emptied", () => {
  const domain = { type: "libvirt:index/domain:Domain", urn: "urn:pulumi:teststack::project-vms::x::demo-domain" };
  const write = (text: string) => writeFileSync(path.join(root, "Pulumi.teststack.yaml"), text);
  function state(resources: unknown[]): void {
    const folder = path.join(root, "state/.pulumi/stacks/project-vms");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "teststack.json"), JSON.stringify({ checkpoint: { latest: { resources } } }));
  }
  const marked = (name: string) => ({ ...aDomain({ description: "project-vms stack teststack" }), name });

  beforeEach(() => {
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/state`);
    there.inventory = emptyInventory;
    pulumi.runtime.setAllConfig({});
  });
  afterEach(() => void vi.unstubAllEnvs());

  test("is refused as it is", async () => {
    write("");
    await expect(stackProgram()).rejects.toThrow("Pulumi.teststack.yaml is empty. Nothing was changed.");
  });

  // Before it starts the program, an engine notes a salt in a file that has none.
  describe.each(["encryptionsalt: v1:abc=:v1:def:ghi=\n", undefined])("and that has %j by now", (text) => {
    beforeEach(() => {
      if (text !== undefined) write(text);
    });

    test("is refused where the state has VMs, before the host is looked at", async () => {
      state([domain]);
      there.inventory = undefined;
      await expect(stackProgram()).rejects.toThrow(/has no config\. .*an update would remove demo\n/s);
    });

    test("is refused where the host has VMs of the stack", async () => {
      state([]);
      there.inventory = { ...emptyInventory, domains: [marked("project-web")] };
      await expect(stackProgram()).rejects.toThrow(/has no config\. .*an update would remove web\n/s);
    });

    test("is refused where the state cannot be read", async () => {
      await expect(stackProgram()).rejects.toThrow(
        /whether the stack has VMs: .*an update would remove all of them\n/s,
      );
    });

    test("is none that was emptied where another file says what projects there are", async () => {
      state([domain]);
      pulumi.runtime.setAllConfig(asPulumi({ projects: {} }));
      there.inventory = undefined;
      await expect(stackProgram()).rejects.not.toThrow("has no config");
    });

    test("is taken for that of a new stack where there are none", async () => {
      state([]);
      there.inventory = undefined;
      await expect(stackProgram()).rejects.not.toThrow("has no config");
    });
  });

  describe("or in which nothing stands behind the key of the projects", () => {
    const refusal = (removed: string) =>
      `Pulumi.teststack.yaml names no projects. Nothing was changed.\n  - Pulumi.teststack.yaml: projects: must not be left empty while there are VMs: an update would remove ${removed}\n`;
    beforeEach(() => {
      write("config:\n  project-vms:projects:\n  #  demo: {}\n");
      // As the engine gives what is null.
      pulumi.runtime.setAllConfig({ "project-vms:projects": "" });
    });

    test("is refused where the state has VMs", async () => {
      state([domain]);
      there.inventory = undefined;
      await expect(stackProgram()).rejects.toThrow(refusal("demo"));
    });

    test("is refused where the host has VMs of the stack", async () => {
      state([]);
      there.inventory = { ...emptyInventory, domains: [marked("project-web")] };
      await expect(stackProgram()).rejects.toThrow(refusal("web"));
    });

    test("is an empty map where there are none", async () => {
      state([]);
      there.inventory = undefined;
      await expect(stackProgram()).rejects.not.toThrow("names no projects");
    });
  });
});

describe("after a boot without the disk, on which all pools are stopped,", () => {
  const title = "Pulumi.teststack.yaml asks for what its host cannot give.";
  beforeEach(() => {
    const pool = { name: "project-webapp", uuid: "", path: "/srv/vms/webapp", type: "dir", capacity: 0, available: 0 };
    there.inventory = { ...emptyInventory, pools: [{ ...pool, active: false, autostart: true, volumes: [] }] };
  });

  test("an update names the mount, rather than a pool that cannot be started", async () => {
    there.mounted =
      "error: /srv/vms/webapp: must be on what /etc/fstab mounts at /srv, but nothing is mounted there now\nremedy: mount it: mount '/srv'\n";
    await expect(stackProgram()).rejects.toThrow(
      `${title}\n  - /srv/vms/webapp: must be on what /etc/fstab mounts at /srv, but nothing is mounted there now\n    mount it: mount '/srv'`,
    );
  });

  test("and once it is mounted, the pool that is to be started", async () => {
    there.mounted = "";
    await expect(stackProgram()).rejects.toThrow(
      `${title}\n  - Pulumi.teststack.yaml: projects.webapp: whether its pool has a kept project disk cannot be seen: the pool \`project-webapp\` on qemu:///system is stopped\n    start it: virsh -c 'qemu:///system' pool-start project-webapp, or project-vm doctor --fix`,
    );
  });
});

test("on a full disk nothing is registered, before the host is looked at", async () => {
  const free = { blocks: 1000, bavail: 1, bfree: 1, bsize: 4096 };
  vi.mocked(statfs).mockResolvedValueOnce(free as never);
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}`);
  await expect(stackProgram()).rejects.toThrow("The state of the stack teststack has too little room.");
  expect(registered).toEqual([]);
});

test("a preview on a full disk is not refused: it writes no state", async () => {
  vi.spyOn(pulumi.runtime, "isDryRun").mockReturnValue(true);
  vi.mocked(statfs).mockResolvedValue({ blocks: 1000, bavail: 0, bfree: 0, bsize: 4096 } as never);
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}`);
  there.inventory = undefined;
  await expect(stackProgram()).rejects.not.toThrow("too little room");
});
