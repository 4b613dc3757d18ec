import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";

/** What the libvirt provider does with a stylesheet. */
export function applyXslt(sheet: string, xml: string): string {
  const dir = mkdtempSync(path.join(tmpdir(), "xslt-"));
  try {
    writeFileSync(path.join(dir, "sheet.xsl"), sheet);
    return execaSync("xsltproc", ["--nonet", path.join(dir, "sheet.xsl"), "-"], { input: xml }).stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
