import type { Patience } from "../../../src/tailnet/api.ts";
import type { TailnetDevice } from "../../../src/tailnet/device.ts";

/** Quick to give up, for tests. */
export const impatient: Patience = { timeout: 2000, tries: 3, firstPause: 1, longestPause: 50 };

export const device = (change: Partial<TailnetDevice> = {}): TailnetDevice => ({
  id: "n1",
  name: "project-web",
  hostname: "project-web",
  tags: ["tag:project-vm"],
  nodeKey: "nodekey:1",
  addresses: ["100.64.0.1"],
  ...change,
});
