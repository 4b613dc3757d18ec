import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import type { HostSettings } from "../../../src/config/parse.ts";
import type { Inventory } from "../../../src/libvirt/inventory.ts";
import { aHostKey } from "../guest/samples.ts";

/** A resource that a component asked for, as the engine would see it. */
export interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

export const readiness = {
  seconds: 42,
  stages: { boot: 30, "cloud-init": 9, disk: 1, network: 1, docker: 1, nix: 1, claude: 1 },
  addresses: ["10.77.0.5"],
  hostKeys: [aHostKey()],
};

const image = { name: "debian-testing-abc.qcow2", path: "/vms/base/debian-testing-abc.qcow2" };

// Pulumi's mock of the engine knows no resource hooks yet: this one takes them and runs none.
Object.assign(MockMonitor.prototype, {
  registerResourceHook: (_request: unknown, callback: (error: null, answer: object) => void) => callback(null, {}),
});

/** What was registered since the last `registered.length = 0`. */
export const registered: Registered[] = [];

// Once for all tests of a file: components of an earlier test still talk to the mock while the next one runs.
pulumi.runtime.setMocks(
  {
    newResource({ type, name, inputs }) {
      registered.push({ type, name, inputs });
      const stdout = name.includes("-baseImage") ? JSON.stringify(image) : JSON.stringify(readiness);
      return { id: `${name}-id`, state: { ...inputs, ...(type === "command:local:Command" ? { stdout } : {}) } };
    },
    call: () => ({}),
  },
  "project-vms",
  "teststack",
);

export const settings: HostSettings = {
  uri: "qemu:///system",
  storageDir: "/vms",
  network: { kind: "managed", name: "project-vms", cidr: "10.77.0.0/24" },
  virtualization: "auto",
};

export const emptyInventory: Inventory = {
  uri: settings.uri,
  memory: 64 * 2 ** 30,
  cpus: 16,
  firmwares: ["bios", "uefi"],
  virtualization: "kvm",
  hypervisorVersion: "9.0.0",
  storage: undefined,
  pools: [],
  networks: [],
  domains: [],
};

/** The value of an output, awaited, so that no assertion is left hanging. */
export function resolved<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}
