import { spawn } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/core/errors.ts";
import type { Log } from "../../src/core/log.ts";
import { programEnvironment } from "../../src/core/program-environment.ts";
import { pulumiVersion } from "../plugin/version.ts";
import { type BundlePiece, type GoPiece, goFlags, type Piece } from "./pieces.ts";
import { checkoutFolder, sourceFolder } from "./places.ts";

/** How often a long step says that it is still at it, in milliseconds. */
const heartbeatInterval = 30_000;

/** How much of a failed build's output is shown. */
const shownLines = 15;

/**
 * Makes sure that a piece is in the cache. It is made in a folder of its own and moved into its place when it is
 * whole: what was interrupted is never taken for done.
 *
 * @param cache the folder of all pieces
 * @param make makes the piece's files in the folder that it is given
 * @returns the piece's folder
 */
export async function ensurePiece(
  cache: string,
  piece: Piece,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cache, `${piece.name}-${piece.digest}`);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await make(partial);
  renameSync(partial, folder);
  return folder;
}

/**
 * Builds a program from its pinned Go modules; go.sum sees to it that they are the ones that were pinned.
 *
 * @param position "1 of 3", for the progress lines
 * @throws UserError if there is no Go, or with the end of the build's output
 */
export async function buildGoPiece(piece: GoPiece, folder: string, position: string, log: Log): Promise<void> {
  const title = `building ${piece.title} from Go modules (${position})`;
  const started = performance.now();
  log(`${title}, ${piece.expected} the first time`);
  const heartbeat = setInterval(() => log(`${title} … ${clock(performance.now() - started)}`), heartbeatInterval);
  try {
    await runGo(piece, ["build", ...goFlags(piece), "-o", join(folder, piece.name), piece.package]);
  } finally {
    clearInterval(heartbeat);
  }
  log(`built ${piece.title} in ${clock(performance.now() - started)}`);
}

function runGo(piece: GoPiece, args: string[]): Promise<void> {
  const child = spawn("go", args, {
    cwd: join(sourceFolder, piece.module),
    env: programEnvironment("build"),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  const take = (data: Buffer) => void output.push(...data.toString("utf8").split("\n").filter(Boolean));
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  return new Promise((resolve, reject) => {
    child.on("error", () => reject(goMissing()));
    child.on("close", (code) => {
      if (code === 0) return resolve();
      const end = output.slice(-shownLines).map((line) => `  ${line}`);
      reject(new UserError([`${piece.title} could not be built (go build, exit status ${code}):`, ...end].join("\n")));
    });
  });
}

function goMissing(): UserError {
  return new UserError(
    `Pulumi ${pulumiVersion} or newer is neither installed nor can it be downloaded here, and there is no Go to build it with.\n` +
      "  Install Go 1.26 or newer (apt-get install golang-go, or https://go.dev/dl), or Pulumi (https://www.pulumi.com/docs/install).",
  );
}

/** Bundles a stand-in into one file, so that it starts fast and needs no node_modules, and writes its start script. */
export async function buildBundle(piece: BundlePiece, folder: string): Promise<void> {
  // Loaded here: it is not needed when everything is there already.
  const { build } = await import("esbuild");
  const bundle = `${piece.name}.cjs`;
  await build({
    absWorkingDir: checkoutFolder,
    entryPoints: [join(sourceFolder, piece.source, "main.ts")],
    outfile: join(folder, bundle),
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    minifyWhitespace: true,
    minifySyntax: true,
    logLevel: "silent",
  });
  const script = ["#!/bin/sh", `exec node "\${0%/*}/${bundle}" "$@"`, ""].join("\n");
  writeFileSync(join(folder, piece.name), script, { mode: 0o755 });
}

/** Minutes and seconds: "02:44". */
export function clock(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}
