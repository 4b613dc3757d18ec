import { appendFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { machineOfItsOwn, passes } from "./on-machine.ts";

const { at, run, program, byFstab } = machineOfItsOwn();

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

  test("is purged with its backups, and they are listed, where that is mounted by hand alone", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("vms")} ext4 noauto\n`);
    program("virsh", "exit 0");
    const purge = () => run("purge.sh", "webapp", at("vms"), "test:///x", "yes");
    const list = () => run("list-backups.sh", at("vms/backups/webapp"));
    expect((await purge()).stderr).toBe(byFstab(at("vms/webapp"), at("vms")));
    expect((await list()).stderr).toBe(byFstab(at("vms/backups/webapp"), at("vms")));
    disk();
    mkdirSync(at("vms/backups/webapp"), { recursive: true });
    writeFileSync(at("vms/backups/webapp/webapp-20260102T030405Z.qcow2"), "12345");
    expect(await list()).toEqual({ ...passes, stdout: "5 ./webapp-20260102T030405Z.qcow2" });
    program("qemu-img", "exit 0");
    expect(await purge()).toEqual(passes);
    expect(readdirSync(at("vms"))).toEqual([]);
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
