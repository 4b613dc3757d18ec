import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach } from "vitest";
import { scriptText } from "../../../src/project-disks/host-script.ts";

/**
 * A script of src/project-disks/ for a machine of a test's own: what is to be mounted there is in `fstab` and `units` of a folder, what is mounted in
 * its `mounts`.
 *
 * @param folder whose path has nothing that a shell would read
 * @example onMachine(scriptText("mounted.sh"), "/tmp/machine")
 */
export function onMachine(script: string, folder: string): string {
  const places = {
    "FSTAB=/etc/fstab": `FSTAB=${folder}/fstab`,
    'UNITS="/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system"': `UNITS=${folder}/units`,
    "MOUNTS=/proc/self/mountinfo": `MOUNTS=${folder}/mounts`,
  };
  return Object.entries(places).reduce((text, [place, own]) => {
    if (!text.includes(place)) throw new Error(`the script has no ${place}`);
    return text.replaceAll(place, own);
  }, script);
}

/** What a script says that has nothing to say. */
export const passes = { exitCode: 0, stdout: "", stderr: "" };

/** A machine for each test of a file, in a folder of its own, on which nothing is mounted. */
export function machineOfItsOwn() {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(path.join(realpathSync(tmpdir()), "machine-"));
    mkdirSync(path.join(dir, "units"));
    writeFileSync(path.join(dir, "mounts"), "");
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const at = (...names: string[]) => path.join(dir, ...names);
  return {
    at,
    /** Puts a program before this machine's. */
    program(name: string, text: string) {
      mkdirSync(at("bin"), { recursive: true });
      writeFileSync(at("bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    },
    async run(script: string, ...args: string[]) {
      const { exitCode, stdout, stderr } = await execa(
        "sh",
        ["-c", onMachine(scriptText(script), dir), script, ...args],
        { reject: false, env: { PATH: `${at("bin")}:${process.env.PATH}` } },
      );
      return { exitCode, stdout, stderr };
    },
    /** How mounted.sh refuses a place for what fstab has. */
    byFstab: (place: string, point: string) => refusal(place, at("fstab"), point, `mount ${inScript(point)}`),
  };
}

/** How mounted.sh refuses a place. */
export const refusal = (place: string, by: string, point: string, how: string) =>
  [
    `error: ${place}: must be on what ${by} mounts at ${point}, but nothing is mounted there now`,
    `remedy: mount it: ${how}; if there is no such disk any more, take it out of ${by}`,
  ].join("\n");

/** A word as refusal.sh quotes it. */
const inScript = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
