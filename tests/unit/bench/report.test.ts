import { describe, expect, test } from "vitest";
import { figure, ratioLines, renderTable, type Timing } from "../../../bench/report.ts";

const timing = (step: string, vms: number, contender: string, seconds: number): Timing => ({
  step,
  vms,
  contender,
  seconds,
});

const timings = [
  timing("up", 1, "project-vms", 4.21),
  timing("up", 20, "project-vms", 16.1),
  timing("up", 1, "virsh", 0.6),
  timing("up", 20, "virsh", 10),
  timing("up", 20, "terraform", 14),
  timing("ready", 1, "project-vms", 76.04),
  timing("ready", 1, "bare-boot", 49),
];

describe("ratioLines", () => {
  test("gives a line for each reference that has a figure of ours beside it", () => {
    expect(ratioLines(timings)).toEqual([
      "RATIO up 1 4.2 virsh 0.60 7.02",
      "RATIO up 20 16.1 virsh 10.0 1.61",
      "RATIO up 20 16.1 terraform 14.0 1.15",
      "RATIO ready 1 76.0 bare-boot 49.0 1.55",
    ]);
  });

  test("has seven fields a line", () => {
    for (const line of ratioLines(timings)) expect(line.split(" ")).toHaveLength(7);
  });

  test("is silent where we have no figure", () => {
    expect(ratioLines([timing("up", 1, "virsh", 1)])).toEqual([]);
  });

  test("divides by no zero", () => {
    const lines = ratioLines([timing("preview", 1, "project-vms", 1), timing("preview", 1, "virsh", 0)]);
    expect(lines).toEqual(["RATIO preview 1 1.0 virsh 0.01 100.00"]);
  });
});

test("renderTable puts all who did a step in one row", () => {
  expect(renderTable(timings)).toBe(
    [
      "| case  | VMs | project-vms [s] |    virsh [s] | terraform [s] | bare-boot [s] |",
      "|-------|----:|----------------:|-------------:|--------------:|--------------:|",
      "| up    |   1 |             4.2 | 0.60 (×7.02) |             – |             – |",
      "| up    |  20 |            16.1 | 10.0 (×1.61) |  14.0 (×1.15) |             – |",
      "| ready |   1 |            76.0 |            – |             – |  49.0 (×1.55) |",
    ].join("\n"),
  );
});

test.each([
  [0.001, "0.01"],
  [0.456, "0.46"],
  [1.04, "1.0"],
  [123.45, "123.5"],
])("figure(%d) is %s", (seconds, text) => expect(figure(seconds)).toBe(text));
