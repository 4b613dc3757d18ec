import { execFile, execFileSync } from "node:child_process";
import { lookup } from "node:dns/promises";
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { bridgeVersion, commandVersion, libvirtVersion, pulumiVersion, tailscaleVersion } from "../plugin/version.ts";
import type { Log } from "./build.ts";

const run = promisify(execFile);

/** The address of Pulumi's own installer. */
export const officialInstaller = "https://get.pulumi.com";

/** For the installer to answer, in milliseconds: who has no internet must not wait for it. */
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
 * Finds the first `pulumi` on PATH that is not one of ours.
 *
 * @param path the value of PATH
 * @param cache the folder of our own toolchains
 */
export function findPulumi(path: string, cache: string): FoundPulumi | undefined {
  for (const folder of path.split(delimiter)) {
    const program = join(folder, "pulumi");
    if (folder === "" || folder.startsWith(cache) || !isExecutable(program)) continue;
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
    const environment = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "1" };
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

/**
 * Installs the official Pulumi CLI by its own installer, pinned, into a folder of ours.
 *
 * @param folder where it goes
 * @param installer the installer's address
 * @returns the folder with the programs, or undefined: then one line has said why
 */
export async function installPulumi(
  folder: string,
  log: Log,
  installer = officialInstaller,
): Promise<string | undefined> {
  const programs = join(folder, "bin");
  if (existsSync(programs)) return programs;
  const partial = `${folder}.partial`;
  try {
    await lookup(new URL(installer).hostname);
    const response = await fetch(installer, { signal: AbortSignal.timeout(connectLimit) });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    const script = await response.text();
    log(`installing Pulumi ${pulumiVersion} by its official installer`);
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    writeFileSync(join(partial, "install.sh"), script);
    const args = [join(partial, "install.sh"), "--version", pulumiVersion, "--install-root", partial, "--no-edit-path"];
    await run("sh", args, { timeout: downloadLimit });
    if (!existsSync(join(partial, "bin", "pulumi"))) throw new Error("it left no bin/pulumi behind");
    renameSync(partial, folder);
    return programs;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    log(`${new URL(installer).host}, the official installer, cannot be used here (${reason(error)}): going on without`);
    return undefined;
  }
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
  const environment = { ...process.env, PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "1" };
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
  const { code, stderr, message } = error as { code?: unknown; stderr?: string; message?: string };
  const said = stderr?.trim().split("\n").at(-1);
  return said || (typeof code === "string" ? code : undefined) || message || String(error);
}
