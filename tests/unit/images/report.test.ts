import { expect, test } from "vitest";
import { MiB } from "../../../src/core/sizes.ts";
import { describePrune, describeUsers, imageRows } from "../../../src/images/report.ts";
import { baseImage, named } from "./samples.ts";

const [a, b, c] = [named("a"), named("b"), named("c")];
const stoodOn = baseImage(a, { allocation: 687 * MiB, projects: ["api", "webapp"], others: ["/srv/x.qcow2"] });
const suspect = baseImage(b, { modified: 2, marker: { path: "", modified: 1 }, domains: ["rescue"] });
const cutOff = baseImage(c, { marker: undefined });
const missing = { name: c, path: `/vms/base/${c}`, projects: ["cli"], others: [] };
const rows = imageRows({ images: [stoodOn, suspect, cutOff], missing: [missing] });

test("a row for each image, with all keys always there", () => {
  expect(JSON.parse(JSON.stringify(rows))).toEqual([
    {
      name: a,
      path: `/vms/base/${a}`,
      state: "whole",
      capacity: 4096,
      allocation: 687 * MiB,
      projects: ["api", "webapp"],
      others: ["/srv/x.qcow2"],
      domains: [],
    },
    {
      name: b,
      path: `/vms/base/${b}`,
      state: "suspect",
      capacity: 4096,
      allocation: 512,
      projects: [],
      others: [],
      domains: ["rescue"],
    },
    {
      name: c,
      path: `/vms/base/${c}`,
      state: "unmarked",
      capacity: 4096,
      allocation: 512,
      projects: [],
      others: [],
      domains: [],
    },
    {
      name: c,
      path: `/vms/base/${c}`,
      state: "missing",
      capacity: null,
      allocation: null,
      projects: ["cli"],
      others: [],
      domains: [],
    },
  ]);
});

test("what stands on it, in words", () => {
  expect(rows.map(describeUsers)).toEqual([
    "projects.api, projects.webapp, /srv/x.qcow2",
    "the domain rescue",
    "nothing",
    "projects.cli",
  ]);
});

test("what a prune would do, and why not more", () => {
  const plan = { remove: [cutOff], keep: [{ image: stoodOn, reason: "projects.api stands on it" }] };
  expect(describePrune(plan)).toEqual([`stays: ${a}  687 MiB  projects.api stands on it`, `goes:  ${c}  0 MiB`]);
});
