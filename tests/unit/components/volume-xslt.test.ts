import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, expect, test } from "vitest";
import { qcow2Xslt } from "../../../components/volume-xslt.ts";

const dir = mkdtempSync(path.join(tmpdir(), "volume-xslt-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("a volume is made in qcow2's version 3, and is otherwise as it was asked for", () => {
  const files = { sheet: path.join(dir, "sheet.xsl"), volume: path.join(dir, "volume.xml") };
  writeFileSync(files.sheet, qcow2Xslt);
  const backing = '<backingStore><path>/base/x.qcow2</path><format type="qcow2"/></backingStore>';
  const before = (target: string) => `<volume><name>disk.qcow2</name><target>${target}</target>${backing}</volume>`;
  writeFileSync(files.volume, before('<format type="qcow2"/>'));
  const { stdout } = execaSync("xsltproc", ["--nonet", files.sheet, files.volume]);
  expect(stdout).toBe(`<?xml version="1.0"?>\n${before('<format type="qcow2"/><compat>1.1</compat>')}`);
});
