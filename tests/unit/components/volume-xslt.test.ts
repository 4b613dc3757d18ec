import { expect, test } from "vitest";
import { again, closedXslt, qcow2Xslt } from "../../../components/volume-xslt.ts";
import { applyXslt } from "./apply-xslt.ts";

/** What the provider asks libvirt for, by a stylesheet. */
const transformed = (sheet: string, target: string, rest = "") =>
  applyXslt(sheet, volumeWith(target, rest)).replace(/^.*\n/, "");
const volumeWith = (target: string, rest = "") =>
  `<volume><name>disk.qcow2</name><target>${target}</target>${rest}</volume>`;

test("a disk is made in qcow2's version 3 and for its owner alone, and is otherwise as it was asked for", () => {
  const backing = '<backingStore><path>/base/x.qcow2</path><format type="qcow2"/></backingStore>';
  const target = (mode: string) => `<format type="qcow2"/><permissions><mode>${mode}</mode></permissions>`;
  expect(transformed(qcow2Xslt, target("644"), backing)).toBe(
    volumeWith(`${target("0600")}<compat>1.1</compat>`, backing),
  );
});

test("a seed is made for its owner alone", () => {
  const target = (mode: string) => `<format type="iso"/><permissions><mode>${mode}</mode></permissions>`;
  expect(transformed(closedXslt, target("644"))).toBe(volumeWith(target("0600")));
});

test("a volume that is made again is asked for in other words each time, and is the same", () => {
  const target = '<format type="qcow2"/><permissions><mode>644</mode></permissions>';
  const [one, other] = [again(qcow2Xslt), again(qcow2Xslt)];
  expect(new Set([qcow2Xslt, one, other]).size).toBe(3);
  expect(transformed(one, target)).toBe(transformed(qcow2Xslt, target));
});
