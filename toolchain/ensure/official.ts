import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { promisify } from "node:util";
import type { Log } from "../../src/core/log.ts";
import { programEnvironment } from "../../src/core/program-environment.ts";
import { isWithin } from "../../src/core/real-path.ts";
import { bridgeVersion, commandVersion, libvirtVersion, pulumiVersion, tailscaleVersion } from "../plugin/version.ts";

const run = promisify(execFile);

/** Where Pulumi's releases are, and in another place, the digests that Pulumi publishes with them. */
export const officialRelease = {
  archives: "https://get.pulumi.com/releases/sdk",
  checksums: `https://github.com/pulumi/pulumi/releases/download/v${pulumiVersion}/pulumi-${pulumiVersion}-checksums.txt`,
};

/** For an answer to begin, in milliseconds: who has no internet must not wait for it. */
const connectLimit = 5000;

/** For the download itself, in milliseconds. */
const downloadLimit = 10 * 60_000;

/** A `pulumi` on PATH. */
export interface FoundPulumi {
  /** The folder that it is in. */
  folder: string;
  /** Changes when it is replaced by another. */
  identity: string;
}

/**
 * Finds the first `pulumi` on PATH that is not one of ours, nor leads to one.
 *
 * @param path the value of PATH
 * @param cache the folder of our own toolchains
 */
export function findPulumi(path: string, cache: string): FoundPulumi | undefined {
  for (const folder of path.split(delimiter)) {
    const program = join(folder, "pulumi");
    if (folder === "" || !isExecutable(program) || isWithin(program, cache)) continue;
    const { size, mtimeMs } = statSync(program);
    return { folder, identity: `${program} ${size} ${mtimeMs}` };
  }
  return undefined;
}

/** Why a `pulumi` cannot be used, as a half sentence; undefined if it can. */
export function unusable(folder: string, path: string): string | undefined {
  const version = versionOf(join(folder, "pulumi"));
  if (version === undefined) return "does not tell its version";
  if (!isAtLeast(version, pulumiVersion)) return `is ${version}, and ${pulumiVersion} or newer is needed`;
  const places = [folder, ...path.split(delimiter)];
  if (!places.some((place) => isExecutable(join(place, "pulumi-language-nodejs")))) {
    return "comes without pulumi-language-nodejs";
  }
  return undefined;
}

function versionOf(program: string): string | undefined {
  try {
    const environment = { ...programEnvironment("engine"), PULUMI_SKIP_UPDATE_CHECK: "1" };
    const output = execFileSync(program, ["version"], {
      encoding: "utf8",
      env: environment,
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
    return /^v?(\d+\.\d+\.\d+)/.exec(output.trim())?.[1];
  } catch {
    return undefined;
  }
}

/** Compares versions of three numbers. */
export function isAtLeast(version: string, wanted: string): boolean {
  const [left, right] = [version, wanted].map((text) => text.split(".").map(Number));
  for (let index = 0; index < 3; index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** All of the archive that is used; nothing else of it is unpacked. */
const programs = ["pulumi", "pulumi-language-nodejs"];

/**
 * Installs the official Pulumi CLI, pinned, into a folder of ours: a release's archive, if it has the digest that Pulumi publishes for it.
 *
 * @param folder where it goes
 * @param release where the archives and their digests are
 * @returns the folder with the programs, or undefined: then one line has said why
 */
export async function installPulumi(folder: string, log: Log, release = officialRelease): Promise<string | undefined> {
  const bin = join(folder, "bin");
  if (existsSync(bin)) return bin;
  const partial = `${folder}.partial`;
  const archive = `pulumi-v${pulumiVersion}-linux-${process.arch === "arm64" ? "arm64" : "x64"}.tar.gz`;
  try {
    const wanted = digestFor(archive, await (await open(release.checksums)).text());
    log(`downloading Pulumi ${pulumiVersion}`);
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(join(partial, "bin"), { recursive: true });
    const file = join(partial, "archive");
    const found = await save(await open(`${release.archives}/${archive}`), file, wanted.algorithm);
    if (found !== wanted.digest) {
      throw new Error(`${archive} has the ${wanted.algorithm} ${found}, and not ${wanted.digest} as published`);
    }
    const members = programs.map((name) => `pulumi/${name}`);
    const flags = ["--no-same-owner", "--no-same-permissions", "--strip-components=1"];
    await run("tar", ["-xzf", file, "-C", join(partial, "bin"), ...flags, ...members], { timeout: downloadLimit });
    rmSync(file);
    if (!programs.every((name) => isExecutable(join(partial, "bin", name))))
      throw new Error("a program is missing in it");
    renameSync(partial, folder);
    return bin;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    log(`the official Pulumi cannot be had here (${reason(error)}): going on without`);
    return undefined;
  }
}

/** Asks for an address; the time for the rest of the answer is another one. */
async function open(address: string): Promise<Response> {
  const stop = new AbortController();
  const connecting = setTimeout(() => stop.abort(new Error("no answer")), connectLimit);
  const downloading = setTimeout(() => stop.abort(new Error("the download takes too long")), downloadLimit);
  downloading.unref();
  try {
    const response = await fetch(address, { signal: stop.signal });
    if (!response.ok) throw new Error(`${new URL(address).host} answers ${response.status}`);
    return response;
  } finally {
    clearTimeout(connecting);
  }
}

/** Writes an answer into a file. @returns its digest, in hex */
async function save({ body }: Response, file: string, algorithm: string): Promise<string> {
  if (!body) throw new Error("the answer is empty");
  const hash = createHash(algorithm);
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(body as ReadableStream), hashing, createWriteStream(file));
  return hash.digest("hex");
}

/** The line `<digest>  <file>` of a list of checksums; its length tells which digest it is. */
function digestFor(file: string, checksums: string): { algorithm: "sha256" | "sha512"; digest: string } {
  const lines = checksums.split("\n").map((line) => line.trim().split(/\s+\*?/));
  const digest = lines.find(([, name]) => name === file)?.[0]?.toLowerCase() ?? "";
  if (/^[0-9a-f]{64}$/.test(digest)) return { algorithm: "sha256", digest };
  if (/^[0-9a-f]{128}$/.test(digest)) return { algorithm: "sha512", digest };
  throw new Error(`no digest is published for ${file}`);
}

/**
 * Lets the official CLI download the official plugins.
 *
 * @param folder the folder of the CLI
 * @param home PULUMI_HOME
 * @returns whether all are there; if not one line has said why
 */
export async function downloadPlugins(folder: string, home: string, log: Log): Promise<boolean> {
  const versions = [bridgeVersion, commandVersion, libvirtVersion, tailscaleVersion];
  const done = join(home, `complete-${versions.join("-")}`);
  if (existsSync(done)) return true;
  const environment = { ...programEnvironment("engine"), PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "1" };
  const pulumi = async (...args: string[]) => {
    const options = { env: environment, timeout: downloadLimit, maxBuffer: 64 * 1024 * 1024 };
    await run(join(folder, "pulumi"), args, options);
  };
  try {
    mkdirSync(home, { recursive: true });
    log("downloading the official plugins");
    await pulumi("plugin", "install", "resource", "command", commandVersion);
    await pulumi("plugin", "install", "resource", "tailscale", tailscaleVersion);
    // To ask for the schema makes the bridge fetch the provider as well.
    await pulumi("package", "get-schema", `terraform-provider@${bridgeVersion}`, "dmacvicar/libvirt", libvirtVersion);
    writeFileSync(done, "");
    return true;
  } catch (error) {
    log(`the official plugins cannot be downloaded here (${reason(error)}): going on without`);
    return false;
  }
}

/** The shortest thing that says what went wrong. */
function reason(error: unknown): string {
  const { code, stderr, message, cause } = error as Partial<Record<"code" | "cause", unknown>> &
    Record<"stderr" | "message", string>;
  const said = stderr?.trim().split("\n").at(-1);
  // fetch itself only says "fetch failed".
  if (cause instanceof Error) return reason(cause);
  return said || (typeof code === "string" ? code : undefined) || message || String(error);
}
