import { appendFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scriptText } from "../../../data/host-script.ts";
import { onMachine } from "./on-machine.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(realpathSync(tmpdir()), "beside-"));
  mkdirSync(path.join(dir, "units"));
  writeFileSync(path.join(dir, "mounts"), "");
});
afterEach(() => rmSync(dir, { recursive: true }));

const run = async (script: string, ...args: string[]) => {
  const { exitCode, stdout, stderr } = await execa("sh", ["-c", onMachine(scriptText(script), dir), script, ...args], {
    reject: false,
  });
  return { exitCode, stdout, stderr };
};
const at = (...names: string[]) => path.join(dir, ...names);
const byFstab = (place: string, point: string) =>
  `error: ${place}: must be on what ${at("fstab")} mounts at ${point}, but nothing is mounted there now
remedy: mount it: mount '${point}'; if there is no such disk any more, take it out of ${at("fstab")}`;
const passes = { exitCode: 0, stdout: "", stderr: "" };

describe("a project disk that is there, on what would be below a mount point,", () => {
  const disk = () => {
    mkdirSync(at("vms/webapp"), { recursive: true });
    writeFileSync(at("vms/webapp/project.qcow2"), Buffer.alloc(80));
  };
  const look = (...places: string[]) =>
    run("mounted.sh", "--beside", at("vms/webapp/project.qcow2"), at("vms/webapp"), ...places);

  test("is read where that is mounted by hand alone", async () => {
    writeFileSync(at("fstab"), `/dev/sr0 ${at("vms")} udf noauto,user 0 0\n`);
    const away = byFstab(at("vms/webapp"), at("vms"));
    expect((await run("read-disk.sh", at("vms"), "webapp")).stderr).toBe(away);
    expect((await look()).stderr).toBe(away);
    disk();
    expect(await run("read-disk.sh", at("vms"), "webapp")).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await look(at("vms/backups/webapp"))).toEqual(passes);
    appendFileSync(at("fstab"), `/dev/sdb1 ${at("vms/backups")} ext4 noauto\n`);
    expect((await look(at("vms/backups/webapp"))).stderr).toBe(byFstab(at("vms/backups/webapp"), at("vms/backups")));
  });

  test("is read where its mount unit is not enabled", async () => {
    disk();
    writeFileSync(at("units", "vms.mount"), `[Mount]\nWhat=/dev/sdb1\nWhere=${at("vms")}\n`);
    expect(await look()).toEqual(passes);
    mkdirSync(at("units/multi-user.target.wants"));
    symlinkSync("../vms.mount", at("units/multi-user.target.wants/vms.mount"));
    expect((await look()).exitCode).toBe(1);
  });

  test.each(["defaults,nofail", "noauto,x-systemd.automount"])(
    "is an older one where %s has it mounted",
    async (options) => {
      disk();
      writeFileSync(at("fstab"), `/dev/sdb1 ${at("vms")} ext4 ${options}\n`);
      expect((await look()).stderr).toBe(byFstab(at("vms/webapp"), at("vms")));
    },
  );
});
