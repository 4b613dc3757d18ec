import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ShellError, shellFor } from "../../../src/libvirt/shell.ts";
import { exportDisk } from "../../../src/project-disks/export.ts";
import { runScript } from "../../../src/project-disks/host-script.ts";

const noLink = vi.hoisted(() => ({ code: "" }));
vi.mock("node:fs/promises", async (original) => {
  const fs = await original<typeof import("node:fs/promises")>();
  const link: typeof fs.link = (...paths) =>
    noLink.code ? Promise.reject(Object.assign(new Error("link"), { code: noLink.code })) : fs.link(...paths);
  return { ...fs, link };
});

let dir: string;
let target: string;
const host = () => ({ uri: "qemu+ssh://root@storage/system", storageDir: path.join(dir, "vms") });

/** Puts a program of that name before those of the machine. */
const fake = (name: string, text: string) =>
  writeFileSync(path.join(dir, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "export-"));
  target = path.join(dir, "home/alpha.qcow2");
  for (const name of ["bin", "home", "vms/alpha"]) mkdirSync(path.join(dir, name), { recursive: true });
  vi.stubEnv("PATH", `${dir}/bin:${process.env.PATH}`);
  // Runs here what it is to run there, where no VM is known.
  fake("ssh", 'for command; do :; done; exec sh -c "$command"');
  fake("virsh", "exit 0");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was thrown",
    (error: Error) => error.message,
  );
const files = () => readdirSync(path.dirname(target)).sort();

describe.skipIf(!existsSync("/usr/bin/qemu-img"))("an export", () => {
  beforeEach(() => {
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", path.join(dir, "vms/alpha/project.qcow2"), "64M"]);
  });
  const run = (log: string[] = []) => exportDisk(host(), "alpha", target, (line) => log.push(line));

  test("is a file for its owner alone, with its digest beside it, and nothing stays on the host", async () => {
    const log: string[] = [];
    writeFileSync(`${target}.partial`, "of a run that was killed, and longer than what comes".repeat(10_000));
    expect(await run(log)).toEqual({ path: target, size: statSync(target).size });
    expect(log).toEqual([]);
    expect(files()).toEqual(["alpha.qcow2", "alpha.qcow2.sha512"]);
    const digest = createHash("sha512").update(readFileSync(target)).digest("hex");
    expect(readFileSync(`${target}.sha512`, "utf8")).toBe(`${digest}  alpha.qcow2\n`);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    expect(readdirSync(path.join(dir, "vms/backups/alpha"))).toEqual([]);
  });

  test("goes also to a filesystem without links, and there too takes the place of no file", async () => {
    noLink.code = "EPERM";
    try {
      await run();
      expect(files()).toEqual(["alpha.qcow2", "alpha.qcow2.sha512"]);
      expect(statSync(target).size).toBeGreaterThan(0);
      fake(
        "ssh",
        `for command; do :; done; case $command in *--stdout*) echo mine >'${target}' ;; esac; exec sh -c "$command"`,
      );
      await rm(target);
      await rm(`${target}.sha512`);
      expect(await messageOf(run())).toContain("must not be there yet: nothing is overwritten");
      expect([files(), readFileSync(target, "utf8")]).toEqual([["alpha.qcow2"], "mine\n"]);
    } finally {
      noLink.code = "";
    }
  });

  test("that comes as another than it was sent is none", async () => {
    fake("ssh", 'for command; do :; done; sh -c "$command" || exit; case $command in *--stdout*) echo more ;; esac');
    expect(await messageOf(run())).toMatch(
      /^Nothing was exported\.\n {2}- .*\/alpha\.qcow2: must have the SHA-512 [0-9a-f]{12}… that its host sent, but has [0-9a-f]{12}…\n {4}try again; if it stays so, something between this machine and the host changes data$/,
    );
    expect(files()).toEqual([]);
  });

  test("that breaks off is none", async () => {
    fake(
      "ssh",
      'for command; do :; done; case $command in *--stdout*) echo "Broken pipe" >&2; exit 255 ;; *) exec sh -c "$command" ;; esac',
    );
    expect(await messageOf(run())).toContain("The libvirt host qemu+ssh://root@storage/system does not answer.");
    expect(files()).toEqual([]);
  });

  test("never takes the place of a file, not even of one that comes meanwhile", async () => {
    fake(
      "ssh",
      `for command; do :; done; case $command in *--stdout*) echo mine >${target} ;; esac; exec sh -c "$command"`,
    );
    const message = [
      "Nothing was exported.",
      `  - ${target}: must not be there yet: nothing is overwritten`,
      "    choose another name, or move that file",
    ].join("\n");
    expect(await messageOf(run())).toBe(message);
    expect(await messageOf(run())).toBe(message);
    expect(readFileSync(target, "utf8")).toBe("mine\n");
    expect(files()).toEqual(["alpha.qcow2"]);
  });

  test("into a folder that is not there is refused before anything is asked of the host", async () => {
    fake("ssh", "exit 9");
    target = path.join(dir, "none/alpha.qcow2");
    expect(await messageOf(run())).toBe(
      `Nothing was exported.\n  - ${dir}/none: must be a folder\n    make it, or name another`,
    );
  });

  test("of a disk that is not there names those that are", async () => {
    expect(await messageOf(exportDisk(host(), "alhpa", target, () => undefined))).toBe(
      [
        "alhpa has no project disk on qemu+ssh://root@storage/system.",
        `  - ${dir}/vms/alhpa/project.qcow2: must be there`,
        "    did you mean `alpha`? (project disks there: `alpha`)",
      ].join("\n"),
    );
  });
});

describe("a script's own refusal", () => {
  const shell = (stderr: string) => ({
    uri: "qemu:///system",
    run: () => Promise.reject(new ShellError("this machine", ["sh"], 1, stderr)),
  });

  test("is an error with its place, its rule and its remedy", async () => {
    const stderr = "alpha: packed 3 MiB so far\nerror: /a: b/c: must be so: yes, but is not\nremedy: make it so\n";
    expect(await messageOf(runScript(shell(stderr), "purge.sh", [], "Nothing was done."))).toBe(
      "Nothing was done.\n  - /a: b/c: must be so: yes, but is not\n    make it so",
    );
  });

  test("is not what other programs say", async () => {
    await expect(runScript(shell("error: no such thing\n"), "purge.sh", [], "No.")).rejects.toBeInstanceOf(ShellError);
  });

  test("is not among its progress", async () => {
    const log: string[] = [];
    await runScript(shellFor("qemu:///system"), "purge.sh", [], "", { onLine: (line) => log.push(line) }).catch(
      () => 0,
    );
    expect(log).toEqual([expect.stringContaining("parameter not set")]);
  });
});
