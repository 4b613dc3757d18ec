import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ownCache } from "../core/cache-folder.ts";
import { UserError } from "../core/errors.ts";
import { execaSync } from "../core/execa.ts";

/** What cloud-init's NoCloud source reads: https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html */
export interface SeedContents {
  userData: string;
  metaData: string;
}

/** Where seeds are kept; readable by their owner alone, since a seed may come to hold keys. */
const seedCache = () => path.join(ownCache(), "seeds");

/**
 * The path of the ISO that holds a VM's seed; its name tells its contents, so that equal contents are one file and no
 * diff. The file is made if it is not there yet.
 *
 * @throws UserError when the program that makes ISOs is not installed, or another user can change what is in the cache
 * @example seedIso("project-myapp", { userData: "#cloud-config\n…", metaData: "instance-id: …" })
 */
export function seedIso(name: string, contents: SeedContents, cacheDir = seedCache()): string {
  const digest = createHash("sha256").update(JSON.stringify(contents)).digest("hex").slice(0, 16);
  const file = path.join(cacheDir, `${name}-${digest}.iso`);
  if (!existsSync(file)) writeSeedIso(file, contents);
  return file;
}

function writeSeedIso(file: string, { userData, metaData }: SeedContents): void {
  const cacheDir = path.dirname(file);
  mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
  const workDir = mkdtempSync(path.join(cacheDir, ".making-"));
  try {
    writeFileSync(path.join(workDir, "user-data"), userData, { mode: 0o600 });
    writeFileSync(path.join(workDir, "meta-data"), metaData, { mode: 0o600 });
    const iso = path.join(workDir, "seed.iso");
    makeIso(
      iso,
      ["user-data", "meta-data"].map((entry) => path.join(workDir, entry)),
    );
    chmodSync(iso, 0o600);
    renameSync(iso, file);
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** The label `cidata` is how cloud-init knows a seed. */
function makeIso(iso: string, files: string[]): void {
  try {
    execaSync("xorriso", [
      "-no_rc", // holds only as the first word: no file of the user's settings has it do more, or less
      "-as",
      "genisoimage",
      "-quiet",
      "-volid",
      "cidata",
      "-joliet",
      "-rational-rock",
      "-output",
      iso,
      ...files,
    ]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new UserError("The program xorriso, which makes the VMs' seeds, is not installed.", [
      { path: "PATH", rule: "xorriso must be installed", remedy: "install it: apt-get install xorriso" },
    ]);
  }
}
