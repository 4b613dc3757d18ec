import { existsSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Log } from "../../../../src/core/log.ts";
import { debianTesting } from "../../../../src/images/recipe.ts";
import { buildGoPiece, ensurePiece } from "../../../../toolchain/ensure/build.ts";
import { takeLock } from "../../../../toolchain/ensure/cache-lock.ts";
import { type GoPiece, goPiece } from "../../../../toolchain/ensure/pieces.ts";
import { cacheFolder } from "../../../../toolchain/ensure/places.ts";

/** The programs of a tailnet, by their paths. */
export interface TailnetPrograms {
  headscale: string;
  tailscaled: string;
  tailscale: string;
}

/** The version of headscale, which headscale/go.mod pins. */
export const headscaleVersion = "0.27.1";

const version = debianTesting.tailscale;

const descriptions: Omit<GoPiece, "digest">[] = [
  {
    name: "headscale",
    title: `headscale ${headscaleVersion}`,
    module: "../tests/e2e/support/tailnet/headscale",
    package: "github.com/juanfont/headscale/cmd/headscale",
    variables: {},
    expected: "about 2 minutes",
  },
  {
    // The very program that VMs have: src/images/build-debian.sh builds it from the same modules.
    name: "tailscaled",
    title: `Tailscale ${version}`,
    module: "../src/images/tailscale",
    package: "tailscale.com/cmd/tailscaled",
    variables: { "tailscale.com/version.shortStamp": version, "tailscale.com/version.longStamp": version },
    tags: ["ts_include_cli"],
    expected: "about 2 minutes",
  },
];

/** Makes sure that headscale and Tailscale are there, built from pinned Go modules and kept by their digests. */
export async function tailnetPrograms(log: Log): Promise<TailnetPrograms> {
  const cache = join(dirname(cacheFolder()), "tailnet");
  const pieces = descriptions.map(goPiece);
  const places = pieces.map(({ name, digest }) => join(cache, `${name}-${digest}`));
  if (!places.every(existsSync)) await build(pieces, cache, log);
  const [headscale = "", tailscale = ""] = places;
  return {
    headscale: join(headscale, "headscale"),
    tailscaled: join(tailscale, "tailscaled"),
    tailscale: join(tailscale, "tailscale"),
  };
}

async function build(pieces: GoPiece[], cache: string, log: Log): Promise<void> {
  const release = await takeLock(cache, log);
  try {
    for (const [index, piece] of pieces.entries()) {
      await ensurePiece(cache, piece, async (folder) => {
        await buildGoPiece(piece, folder, `${index + 1} of ${pieces.length}`, log);
        // One binary is both, by its name.
        if (piece.name === "tailscaled") symlinkSync("tailscaled", join(folder, "tailscale"));
      });
    }
  } finally {
    await release();
  }
}
