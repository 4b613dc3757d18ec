import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { debianTesting } from "../../../src/images/recipe.ts";
import { headscaleVersion } from "../../e2e/support/tailnet/programs.ts";

test("the versions of the test tailnet are those that are pinned", () => {
  const read = (file: string) => readFileSync(path.join(import.meta.dirname, "../../..", file), "utf8");
  expect(read("tests/e2e/support/tailnet/headscale/go.mod")).toContain(
    `github.com/juanfont/headscale v${headscaleVersion} `,
  );
  expect(read("src/images/tailscale/go.mod")).toContain(`tailscale.com v${debianTesting.tailscale} `);
});
