import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { brokenLinks } from "../../ci/doc-links.ts";

test("each link of this repository's pages leads somewhere", async () => {
  // Those that are not committed yet too: a link that is broken is found before.
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.md"];
  const pages = (await execa("git", args)).stdout.split("\n").filter((page) => !page.startsWith("sdks/"));
  expect(pages).toContain("docs/data.md");
  expect(brokenLinks(process.cwd(), pages)).toEqual([]);
});

const other = "# The way out\n\n## `project-vms:host`\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n```\n";

test.each([
  ["[a](docs/other.md)", []],
  ["[a](docs)", []],
  ["[a](docs/other.md#the-way-out), [b](docs/other.md#project-vmshost), [c](docs/other.md#twice-1)", []],
  ["# One\n\n[a](#one)", []],
  ["[a](https://example.org/nowhere), [b](mailto:a@example.org)", []],
  ["`[a](nowhere.md)`, ``[a](nowhere.md)``", []],
  ["```\n[a](nowhere.md)\n```\n<!-- [a](nowhere.md) -->", []],
  ["[a](nowhere.md)", ["nowhere.md leads to nowhere.md, which does not exist"]],
  ["[`a`](docs/nowhere.md)", ["docs/nowhere.md leads to docs/nowhere.md, which does not exist"]],
  ["| [a](no.md) | [b](docs) |", ["no.md leads to no.md, which does not exist"]],
  ["![a](no.png)", ["no.png leads to no.png, which does not exist"]],
  ["[a][1]\n\n[1]: no.md", ["no.md leads to no.md, which does not exist"]],
  ['<img src="no.png">', ["no.png leads to no.png, which does not exist"]],
  ["[a](../page.md)", ["../page.md leads out of the repository"]],
  ["[a](/docs/other.md)", ["/docs/other.md leads out of the repository"]],
  ["[a](#nowhere)", ["#nowhere names a heading that page.md does not have"]],
  ["[a](docs/other.md#no-heading)", ["docs/other.md#no-heading names a heading that docs/other.md does not have"]],
  ["[a](docs/other.md#twice-2)", ["docs/other.md#twice-2 names a heading that docs/other.md does not have"]],
  ["[a](docs#one)", ["docs#one names a heading of docs, which is no page"]],
])("%s", (text, problems) => {
  const dir = mkdtempSync(path.join(tmpdir(), "doc-links-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  mkdirSync(path.join(dir, "docs"));
  writeFileSync(path.join(dir, "docs/other.md"), other);
  writeFileSync(path.join(dir, "page.md"), text);
  expect(brokenLinks(dir, ["page.md"])).toEqual(problems.map((problem) => `page.md: ${problem}`));
});
