import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Interval } from "../../../src/config/backup-settings.ts";
import type { Shell } from "../../../src/libvirt/shell.ts";
import { removeAllSchedules } from "../../../src/project-disks/schedule.ts";
import { readScheduleEnvironment, scheduleEnvironment } from "../../../src/project-disks/schedule-environment.ts";
import { cronLine, type Schedule, unitName, units } from "../../../src/project-disks/schedule-units.ts";
import { messageOf } from "../config/samples.ts";

const schedule = (every: Interval, of: Partial<Schedule> = {}): Schedule => ({
  project: "myapp",
  storageDir: "/var/lib/project-vms",
  uri: "qemu:///system",
  backup: { every, keep: 7 },
  ...of,
});

describe("the units of a schedule", () => {
  test("by days: every night, and the script sees whether it is time", () => {
    const { name, service, timer } = units(schedule("1d"));
    expect(name).toBe("project-vms-backup-myapp");
    expect(service).toBe(`# Written by Project VMs at each update of the stack.
[Unit]
Description=Backup of the project disk of myapp
After=libvirtd.service virtqemud.socket

[Service]
Type=oneshot
ExecStart=/usr/local/lib/project-vms/backup.sh --keep 7 --unless-within 43200 myapp /var/lib/project-vms qemu:///system
TimeoutStartSec=1d
TimeoutStopSec=10min
Nice=10
IOSchedulingClass=idle
`);
    expect(timer).toBe(`# Written by Project VMs at each update of the stack.
[Unit]
Description=Backup of the project disk of myapp, every 1d

[Timer]
OnCalendar=*-*-* 02:00:00
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
`);
  });

  test.each<[Interval, string, number]>([
    ["1h", "hourly", 1800],
    ["6h", "hourly", 19_800],
    ["1d", "*-*-* 02:00:00", 43_200],
    ["3d", "*-*-* 02:00:00", 216_000],
    ["1w", "*-*-* 02:00:00", 561_600],
  ])("every %s: looked at %s, and made when the newest is older than %d s", (every, calendar, within) => {
    const { service, timer } = units(schedule(every));
    expect(timer).toContain(`OnCalendar=${calendar}\n`);
    expect(service).toContain(` --unless-within ${within} `);
  });

  test("a folder with anything in its name is one word for systemd, and for cron", () => {
    const strange = schedule("1d", { storageDir: '/v ms/100%$HOME/"x"\\y' });
    expect(units(strange).service).toContain('myapp "/v ms/100%%$$HOME/\\"x\\"\\\\y" qemu:///system\n');
    expect(cronLine(schedule("6h", { storageDir: "/v ms/100%" }))).toBe(
      "0 * * * * root /usr/local/lib/project-vms/backup.sh --keep 7 --unless-within 19800 myapp '/v ms/100\\%' qemu:///system",
    );
  });

  test("of another libvirt on the same machine have other names, which no project can have", () => {
    const embedded = schedule("1d", { uri: "qemu+unix:///system?socket=/a/b" });
    expect(unitName(embedded)).toMatch(/^project-vms-backup-myapp\.[0-9a-f]{8}$/);
    expect(unitName(embedded)).not.toBe(unitName({ ...embedded, storageDir: "/other" }));
  });
});

test("the schedules of a libvirt that is removed are removed, and no other's", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "units-"));
  const [embedded, other] = ["qemu+unix:///system?socket=/a/b", "qemu+unix:///system?socket=/a/c"];
  const there: Partial<Schedule>[] = [
    { uri: embedded },
    { uri: embedded, project: "shop" },
    { uri: other },
    { uri: "qemu:///system" },
    { uri: embedded, storageDir: "/other" },
  ];
  for (const one of there) writeFileSync(path.join(folder, `${unitName(schedule("1d", one))}.timer`), "");
  writeFileSync(path.join(folder, "project-vms-backup-notes"), "mine");
  const asked: string[][] = [];
  const run = async (argv: string[]) => {
    asked.push(argv);
    return "";
  };
  const shell = { uri: embedded, run } as unknown as Shell;
  const { storageDir } = schedule("1d");
  expect((await removeAllSchedules(shell, storageDir, folder)).sort()).toEqual(["myapp", "shop"]);
  expect(asked.map((argv) => argv.slice(-2)).sort()).toEqual(
    there
      .slice(0, 2)
      .map((one) => ["remove", unitName(schedule("1d", one))])
      .sort(),
  );
  expect(await removeAllSchedules(shell, storageDir, path.join(folder, "nowhere"))).toEqual([]);
  // What cannot be listed is not known to be empty.
  await expect(removeAllSchedules(shell, storageDir, path.join(folder, "project-vms-backup-notes"))).rejects.toThrow(
    "ENOTDIR",
  );
  await rm(folder, { recursive: true });
});

/** To verify units, root's systemd-analyze notes in /run that it has loaded some, as systemd itself does: here in a /run of its own. */
function verify(files: string[]) {
  const command = ["systemd-analyze", "verify", "--man=no", ...files];
  const inOwnRun = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"];
  const script = 'mount -t tmpfs tmpfs /run\nexec "$@"';
  const [program = "", ...args] = process.getuid?.() === 0 ? [...inOwnRun, script, "sh", ...command] : command;
  return execaSync(program, args, { all: true, reject: false });
}

describe.skipIf(!existsSync("/usr/bin/systemd-analyze"))("systemd", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "units-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  test.each<Interval>(["1h", "1d", "53d"])("takes the units of every %s as they are", (every) => {
    const odd = schedule(every, { storageDir: '/v ms/100%$HOME/"x"\\y', uri: "qemu+unix:///system?socket=/a/b" });
    const { name, service, timer } = units(odd, path.resolve("src/project-disks/backup.sh"));
    const files = [path.join(dir, `${name}.service`), path.join(dir, `${name}.timer`)];
    for (const [i, text] of [service, timer].entries()) writeFileSync(files[i] as string, text);
    const loaded = () => statSync("/run/systemd/systemd-units-load", { throwIfNoEntry: false })?.mtimeMs;
    const before = loaded();
    const { exitCode, all } = verify(files);
    expect([exitCode, all]).toEqual([0, ""]);
    expect(loaded()).toBe(before);
  });
});

/** In a mount namespace of its own, where the host's folders are empty ones. */
const onHost = (systemd: boolean, then: string) => `
set -e
mount -t tmpfs tmpfs /etc/systemd
mount -t tmpfs tmpfs /usr/local/lib
mount -t tmpfs tmpfs /run
mkdir -p /etc/systemd/system ${systemd ? "/run/systemd/system" : ""}
node --import tsx/esm src/steps/backup-schedule.ts $ACTION
${then}`;

describe.skipIf(process.getuid?.() !== 0)("a host", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "schedule-"));
    mkdirSync(path.join(dir, "bin"));
    writeFileSync(path.join(dir, "bin/systemctl"), `#!/bin/sh\necho "$*" >>${dir}/asked\n`, { mode: 0o755 });
  });
  afterEach(() => rm(dir, { recursive: true }));

  const environment = scheduleEnvironment({ ...schedule("6h"), backup: { every: "6h", keep: 3 } });
  const run = (action: string, systemd: boolean, then: string) =>
    execa("unshare", ["--mount", "--propagation", "private", "bash", "-c", onHost(systemd, then)], {
      env: { ...environment, PATH: `${dir}/bin:${process.env.PATH}`, ACTION: action },
      reject: false,
    });
  const asked = () => readFileSync(path.join(dir, "asked"), "utf8").trimEnd().split("\n");
  const unit = "project-vms-backup-myapp.timer";

  test("with systemd has the units and the script, and its timer runs", async () => {
    const { stdout, stderr } = await run(
      "install",
      true,
      "cd /; find etc/systemd/system usr/local/lib -type f -printf '%p %m\\n' | sort",
    );
    expect(stderr).toBe("");
    expect(stdout.split("\n").filter((line) => line.includes("project-vms"))).toEqual([
      "etc/systemd/system/project-vms-backup-myapp.service 644",
      `etc/systemd/system/${unit} 644`,
      "usr/local/lib/project-vms/backup.sh 755",
    ]);
    expect(asked()).toEqual(["daemon-reload", `enable --quiet ${unit}`, `restart ${unit}`]);
  });

  test("with systemd has nothing of it any more once it is removed", async () => {
    const again =
      "ACTION=remove; node --import tsx/esm src/steps/backup-schedule.ts remove; find /etc/systemd/system /usr/local/lib -mindepth 1";
    const { stdout, stderr, exitCode } = await run("install", true, again);
    expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
    expect(asked().slice(3)).toEqual([`disable --quiet --now ${unit}`, `clean --what=state ${unit}`, "daemon-reload"]);
  });

  test("keeps the script while another project is scheduled", async () => {
    const other =
      "PROJECT_VMS_PROJECT=other node --import tsx/esm src/steps/backup-schedule.ts remove; ls /usr/local/lib/project-vms";
    expect((await run("install", true, other)).stdout).toBe("backup.sh");
  });

  test("without systemd schedules nothing, says how to do it by cron, and that is no failure", async () => {
    const { stdout, stderr, exitCode } = await run(
      "install",
      false,
      "ls /etc/systemd/system /usr/local/lib/project-vms",
    );
    expect(exitCode).toBe(0);
    expect(stderr.split("\n")).toEqual([
      "myapp: its backups are NOT scheduled: the host runs no systemd. With cron, as a line of /etc/cron.d/project-vms:",
      "0 * * * * root /usr/local/lib/project-vms/backup.sh --keep 3 --unless-within 19800 myapp /var/lib/project-vms qemu:///system",
    ]);
    expect(stdout).toBe("/etc/systemd/system:\n\n/usr/local/lib/project-vms:\nbackup.sh");
  });

  test("without systemd has nothing to remove", async () => {
    const { stdout, stderr, exitCode } = await run("remove", false, "ls /usr/local/lib");
    expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
  });
});

describe("what the entry program is told", () => {
  const told = { ...schedule("1w"), backup: { every: "1w" as const, keep: 2 } };

  test("comes through its environment", () => {
    expect(readScheduleEnvironment(scheduleEnvironment(told))).toEqual(told);
  });

  test("has its limits there too", () => {
    const variables = { ...scheduleEnvironment(told), PROJECT_VMS_BACKUP: '{"every":"1m","keep":2}' };
    expect(messageOf(() => readScheduleEnvironment(variables))).toContain("must be in hours, days or weeks");
  });

  test.each(["PROJECT_VMS_URI", "PROJECT_VMS_STORAGE_DIR", "PROJECT_VMS_BACKUP"])("must have %s", (variable) => {
    expect(messageOf(() => readScheduleEnvironment({ ...scheduleEnvironment(told), [variable]: "" }))).toBe(
      `${variable} is not set: this program is run by a command resource`,
    );
  });
});
