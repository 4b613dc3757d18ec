import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, delimiter, join } from "node:path";
import { UserError } from "../../src/core/errors.ts";
import type { Log } from "../../src/core/log.ts";
import { isWithin, realPath } from "../../src/core/real-path.ts";
import { pulumiVersion } from "../plugin/version.ts";
import { buildBundle, buildGoPiece, ensurePiece } from "./build.ts";
import { takeLock } from "./cache-lock.ts";
import { layOut, type PieceFolders } from "./layout.ts";
import { downloadPlugins, findPulumi, installPulumi, unusable } from "./official.ts";
import { bundlePieces, type GoPiece, goPieces } from "./pieces.ts";
import { cacheFolder, contentsOf, digestOf, sourceFolder } from "./places.ts";

/** What there is to run Pulumi with. */
export interface Toolchain {
  /** The folder with `pulumi` and `pulumi-language-nodejs`. */
  bin: string;
  /** PULUMI_HOME: a folder of ours, never the user's own. */
  home: string;
  /** Whether the plugins are the official ones, which the engine downloads by itself. */
  officialPlugins: boolean;
}

/**
 * Makes sure that there is a Pulumi to work with: the one on PATH if it is new enough, else the official
 * release, else one built from pinned Go modules. Instant when it is there; safe when two run at once.
 *
 * @param log takes lines of progress
 * @throws UserError with the missing thing and the remedy
 */
export async function ensureToolchain(log: Log): Promise<Toolchain> {
  const place = toolchainFolder();
  const ready = readToolchain(place);
  if (ready) return ready;
  const cache = cacheFolder();
  const release = await takeLock(cache, log);
  try {
    return readToolchain(place) ?? (await makeToolchain(cache, place, log));
  } finally {
    await release();
  }
}

/**
 * The environment variables under which plain `pulumi` works.
 *
 * @throws UserError if the toolchain is not there yet
 */
export function toolchainEnvironment(): Record<string, string> {
  const toolchain = readToolchain(toolchainFolder());
  if (!toolchain) throw new UserError("The Pulumi toolchain is not there yet.\n  make prepare makes it.");
  const cache = cacheFolder();
  const others = (process.env.PATH ?? "").split(delimiter).filter((folder) => !isWithin(folder, cache));
  return {
    PATH: [toolchain.bin, ...others].join(delimiter),
    PULUMI_HOME: toolchain.home,
    PULUMI_SKIP_UPDATE_CHECK: "1",
    // Where plugins cannot be downloaded, a missing one is to be said at once and not after a timeout.
    ...(toolchain.officialPlugins ? {} : { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" }),
  };
}

/** The folder of the toolchain that belongs to these sources and to the `pulumi` on PATH, if there is one. */
function toolchainFolder(): string {
  const cache = cacheFolder();
  const found = findPulumi(process.env.PATH ?? "", cache);
  const pieces = [...goPieces(), ...bundlePieces()].map(({ name, digest }) => `${name} ${digest}`);
  const layout = contentsOf(sourceFolder, ["ensure", "plugin/version.ts"]);
  return join(cache, digestOf([...pieces, ...layout, found?.identity ?? ""]));
}

/** A toolchain as it is noted down: its paths hold where it was made. */
interface NotedToolchain extends Toolchain {
  place: string;
}

/** The one in a folder; none where that was moved or copied, with its cache or its user's home: it is then laid out again. */
function readToolchain(folder: string): Toolchain | undefined {
  const file = join(folder, "toolchain.json");
  if (!existsSync(file)) return undefined;
  const { place, ...toolchain }: NotedToolchain = JSON.parse(readFileSync(file, "utf8"));
  return realPath(place) === folder ? toolchain : undefined;
}

/** Makes the toolchain beside its place and moves it there when it is whole. */
async function makeToolchain(cache: string, place: string, log: Log): Promise<Toolchain> {
  const bin = await officialPulumi(cache, log);
  const officialHome = join(cache, "official-home");
  const officialPlugins = bin !== undefined && (await downloadPlugins(bin, officialHome, log));
  const toolchain: Toolchain = {
    bin: bin ?? join(place, "bin"),
    home: officialPlugins ? officialHome : join(place, "home"),
    officialPlugins,
  };
  const partial = `${place}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  if (!officialPlugins) layOut(partial, place, await makePieces(cache, bin === undefined, log));
  const noted: NotedToolchain = { place, ...toolchain };
  writeFileSync(join(partial, "toolchain.json"), `${JSON.stringify(noted, null, 2)}\n`);
  replace(cache, place, partial);
  return toolchain;
}

/** Puts a whole folder in its place. What was there is put aside first, in one step: an engine may be at work in it. */
function replace(cache: string, place: string, whole: string): void {
  const old = `${place}.old-`;
  if (existsSync(place)) renameSync(place, mkdtempSync(old));
  renameSync(whole, place);
  for (const name of readdirSync(cache).filter((one) => one.startsWith(basename(old))))
    removeIfPossible(join(cache, name));
}

/** An engine at work writes there; what stays is no toolchain's place, and goes the next time. */
function removeIfPossible(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

/** The folder of an official CLI that is new enough, installed if need be and possible. */
async function officialPulumi(cache: string, log: Log): Promise<string | undefined> {
  const path = process.env.PATH ?? "";
  const found = findPulumi(path, cache);
  if (found) {
    const problem = unusable(found.folder, path);
    if (problem === undefined) return found.folder;
    log(`${join(found.folder, "pulumi")} ${problem}: going on without`);
  }
  return installPulumi(join(cache, `official-${pulumiVersion}`), log);
}

async function makePieces(cache: string, withCli: boolean, log: Log): Promise<PieceFolders> {
  const pieces = join(cache, "pieces");
  const folders: PieceFolders = {};
  // An official CLI has its own language host beside it.
  const isWanted = ({ name }: { name: string }) => withCli || !/^pulumi(-language-nodejs)?$/.test(name);
  const programs = goPieces().filter(isWanted);
  const missing = programs.filter((piece) => !existsSync(join(pieces, `${piece.name}-${piece.digest}`)));
  const position = (piece: GoPiece) => `${missing.indexOf(piece) + 1} of ${missing.length}`;
  for (const piece of bundlePieces().filter(isWanted)) {
    folders[piece.name] = await ensurePiece(pieces, piece, (folder) => buildBundle(piece, folder));
  }
  // One after another: each build keeps all cores busy by itself.
  for (const piece of programs) {
    const make = (folder: string) => buildGoPiece(piece, folder, position(piece), log);
    folders[piece.name] = await ensurePiece(pieces, piece, make);
  }
  return folders;
}
