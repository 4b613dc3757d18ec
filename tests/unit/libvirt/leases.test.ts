import { expect, test } from "vitest";
import { leasesIn } from "../../../src/libvirt/leases.ts";
import { hostileTexts } from "../guest/hostile-values.ts";

const [own, others] = ["52:54:00:aa:bb:cc", "52:54:00:11:22:33"];
const row = (mac: string, address: string, rest: string) =>
  ` 2026-11-25 18:00:00   ${mac}   ipv4       ${address}/24   ${rest}`;

test("leases are read by their columns", () => {
  const six = " 2026-11-25 18:00:00   52:54:00:aa:bb:cc   ipv6       fd00::5/64   host   00:01";
  expect(leasesIn(`${row(own, "10.77.0.5", "host  01")}\n${six}\n${row(others, "10.77.0.9", "-   -")}\n`)).toEqual([
    { mac: own, address: "10.77.0.5" },
    { mac: own, address: "fd00::5" },
    { mac: others, address: "10.77.0.9" },
  ]);
});

test.each([
  ["another's MAC address as its name", `${others}  01:02`],
  ["another's MAC address as its ID", `host  ${others}`],
  ["a lease of another's as its ID", `host  ${others}   ipv4   10.77.0.66/24   x`],
  ...Object.entries(hostileTexts).map(([name, text]) => [name, text.replaceAll("\n", "")]),
])("a guest that gives %s has its own lease, and no other", (_, rest) => {
  expect(leasesIn(row(own, "10.77.0.5", rest ?? ""))).toEqual([{ mac: own, address: "10.77.0.5" }]);
});
