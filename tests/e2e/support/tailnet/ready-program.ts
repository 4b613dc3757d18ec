import * as pulumi from "@pulumi/pulumi";
import { lookAtTailnet } from "../../../../components/tailnet-args.ts";
import { ChildFactory } from "../../../../components/transform.ts";
import { createReady, createTeardown } from "../../../../components/vm-children.ts";
import type { VmContext } from "../../../../components/vm-context.ts";
import { parseStackConfig } from "../../../../src/config/parse.ts";
import { anInventory } from "../../../unit/found.ts";

/**
 * The program of a VM without the VM: its `ready` and `teardown` commands, told of a tailnet as a stack's program tells them. What
 * `ready` runs takes the key, and leaves the guest out.
 */
export async function readyProgram() {
  const config = parseStackConfig(pulumi.runtime.allConfig(), "Pulumi.local.yaml");
  if (!config.tailnet) throw new Error("the config has no tailnet");
  const look = { inventory: anInventory({}), file: "Pulumi.local.yaml" };
  const { args: tailnet, inventory } = await lookAtTailnet(config.tailnet, ["web"], look);
  const host = { settings: { uri: "test:///default" }, owner: "local", inventory, tailnet };
  const context = { name: "web", settings: {}, host, found: {} } as unknown as VmContext;
  const vm = new pulumi.ComponentResource("tests:index:Vm", "web");
  const domain = new pulumi.ComponentResource("tests:index:Domain", "web-domain") as never;
  const children = new ChildFactory(vm, "web", {
    teardown: (args: { delete?: unknown }) => {
      args.delete = "true";
    },
    ready: (args: { create?: unknown }) => {
      args.create = "exec node bin/entry.js tests/e2e/support/tailnet/take-key-entry.ts";
    },
  });
  createTeardown(children, context, domain);
  const ready = createReady(children, context, domain, []);
  return { taken: pulumi.unsecret(ready.stdout) };
}
