import { describe, expect, test } from "vitest";
import { storedOutput, storedReadiness, storedTargets } from "../../../src/guest/stored.ts";
import { parseDomain } from "../../../src/libvirt/libvirt-xml.ts";
import { hostileValues } from "./hostile-values.ts";
import { aHostKey, aNode } from "./samples.ts";

/*
 * What an older version noted down as its guest had said it, or a hand has put there, comes back as nothing.
 */

/** What could be another's needs its network, or its tailnet, to be told. */
const hostile = Object.entries(hostileValues).filter(
  ([name]) => !/another (VM|network|tailnet)|of the host$/.test(name),
);
const good = { name: "app", addresses: ["10.77.0.5"], hostKeys: [aHostKey()], tailnetName: "project-app.tail1.ts.net" };
const node = { name: good.tailnetName, addresses: ["100.64.0.7"], ...aNode(1) };
const ready = { seconds: 3, stages: { boot: 1 }, addresses: good.addresses, hostKeys: good.hostKeys, tailnet: node };

test("what holds is read as it was noted down", () => {
  expect(storedTargets(JSON.stringify([good]))).toEqual([good]);
  expect(storedReadiness(JSON.stringify(ready), "app")).toEqual(ready);
});

describe.each(hostile)("%s", (_, value) => {
  test("in the targets of SSH's files", () => {
    const poisoned = [
      { ...good, addresses: [value] },
      { ...good, hostKeys: [value] },
      { ...good, tailnetName: value },
    ];
    expect(storedTargets(JSON.stringify(poisoned))).toEqual([
      { ...good, addresses: [] },
      { ...good, hostKeys: [] },
      { ...good, tailnetName: undefined },
    ]);
    expect(storedTargets(JSON.stringify(value))).toEqual([]);
    expect(storedTargets(JSON.stringify([{ ...good, name: value }]))).toEqual([]);
  });

  test("in the state", () => {
    const { tailnet: _node, ...outside } = ready;
    for (const change of [{ id: value }, { nodeKey: value }, { name: value }]) {
      expect(storedReadiness(JSON.stringify({ ...ready, tailnet: { ...node, ...change } }), "app")).toEqual(outside);
    }
    const output = { name: "app", addresses: [value], hostKeys: value, tailnetName: value, tailnetAddresses: [value] };
    expect(storedOutput(output, "app")).toMatchObject({
      addresses: [],
      hostKeys: [],
      tailnetName: undefined,
      tailnetAddresses: [],
      stages: {},
    });
  });
});

test("a mark of a domain that is none counts as not there", () => {
  const escaped = (text: unknown) =>
    String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").slice(0, 1000);
  for (const [name, value] of hostile.filter(([, value]) => typeof value === "string")) {
    const xml = (id: string, key: string) =>
      `<domain><name>x</name><metadata><t:tailnet xmlns:t="urn:project-vms:tailnet" id="${id}" node="${key}"/><d:definition xmlns:d="urn:project-vms:definition" digest="${escaped(value)}"/></metadata></domain>`;
    expect(parseDomain(xml("n1", escaped(value))).marks, name).toEqual({});
    if (name === "11 MiB") continue;
    const { tailnet } = parseDomain(xml(escaped(value), aNode(1).nodeKey)).marks;
    expect(tailnet, name).toBeUndefined();
  }
  const right = `<domain><metadata><t:tailnet xmlns:t="urn:project-vms:tailnet" id="n1" node="${aNode(1).nodeKey}"/></metadata></domain>`;
  expect(parseDomain(right).marks).toEqual({ tailnet: aNode("n1") });
});
