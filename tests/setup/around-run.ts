import { execFileSync } from "node:child_process";
import { rmdirSync, rmSync } from "node:fs";
import { mountsBelow } from "../../src/embedded-host/embedded-process.ts";
import { deadHomes } from "./home.ts";
import { checkoutsFolder, homesFolder } from "./places.ts";

/** Before each run: takes away the homes that killed runs have left, with what is mounted in them. */
export function setup(): void {
  for (const dir of deadHomes(homesFolder())) {
    for (const mountpoint of mountsBelow(dir)) execFileSync("umount", ["--lazy", mountpoint]);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** After it: the folders that all files had in common go, unless something is left in them. */
export function teardown(): void {
  for (const folder of [homesFolder(), checkoutsFolder()]) {
    try {
      rmdirSync(folder);
    } catch {
      // It was not needed, or another run is at work in it; what is left in it is found at the end of CI.
    }
  }
}
