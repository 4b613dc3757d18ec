import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../../../src/core/errors.ts";
import { type Shell, ShellError, shellFor } from "../../../../src/libvirt/shell.ts";
import { examineLostHosts, examineMachine } from "../../../../src/operations/doctor/machine.ts";

const uri = "qemu+ssh://root@storage/system";

/** What is said of a host elsewhere whose programs print this, and how it is to be mended. */
async function examined(answers: {
  way?: string;
  folders?: string;
  appArmor?: string;
  virtualization?: "kvm" | "emulated";
}) {
  const { way = "", folders = "711 0 root /vms\n755 0 root /\n", appArmor = "", virtualization = "kvm" } = answers;
  const folderAnswers = (script = "") => (script.includes("realpath") ? way.replaceAll("|", "\0") : folders);
  const run = async (argv: string[]) => (argv.includes("/vms") ? folderAnswers(argv[2]) : appArmor);
  const found = await examineMachine({ uri, virtualization }, "/vms", { uri, run });
  return found.map(({ level, check, says, remedy }) => `${level} ${check}: ${says}${remedy ? ` -> ${remedy}` : ""}`);
}

test("an embedded host whose checkout is gone is named, and is no failure; without one nothing is said", () => {
  const lost = { dir: "/hosts/a-1", checkout: "/a", projects: ["demo"], isGone: true, runs: true };
  expect(examineLostHosts([lost])).toEqual([
    {
      check: "embedded hosts",
      level: "warning",
      says: expect.stringMatching(/^\/hosts\/a-1 is the embedded host of \/a, which is not there any more; it runs/),
      remedy: expect.stringContaining("make clean GONE=/a"),
      fix: "none",
    },
  ]);
  expect(examineLostHosts([])).toEqual([]);
});

test("a host in order", async () => {
  expect(await examined({ appArmor: "on\n" })).toEqual([
    "ok KVM: libvirt there offers it",
    "ok storage folder: /vms is root's (711), and QEMU's user gets through to it",
    "ok AppArmor: libvirt's helper lets VMs at their disks",
  ]);
});

test("one whose folder for VMs is on a disk that is not mounted", async () => {
  const said = "error: /vms: must be on what /etc/fstab mounts at /vms\nremedy: mount it\n";
  const run = async (argv: string[]) => {
    if (argv.includes("mounted.sh")) throw new ShellError("there", argv, 1, said);
    return "";
  };
  const found = await examineMachine({ uri, virtualization: "kvm" }, "/vms", { uri, run });
  expect(found[1]).toMatchObject({
    level: "warning",
    says: "could not be looked at: /vms: must be on what /etc/fstab mounts at /vms",
    remedy: "mount it",
  });
});

test("one on which nothing was made yet, without KVM and AppArmor", async () => {
  expect(await examined({ folders: "755 0 root /\n", virtualization: "emulated" })).toEqual([
    "warning KVM: libvirt there does not offer it: VMs are emulated -> load the kernel's kvm modules there",
    "ok storage folder: /vms is not there yet, and QEMU's user gets through to it",
    "ok AppArmor: is not in use there",
  ]);
});

test.each([
  [
    "700 0 me /vms\n750 0 me /srv x\n755 0 root /\n",
    "warning storage folder: QEMU's user may not get through /vms, /srv x -> chmod o+x /vms '/srv x', or name another `storageDir`",
  ],
])("folders as %j", async (folders, said) => {
  expect((await examined({ folders }))[1]).toBe(said);
});

test.each([
  ["step d 757 0 0 /vms|step d 1777 0 0 /|", "/vms may be written to by all users", "chmod go-w /vms"],
  ["step d 775 0 50 /vms|", "/vms may be written to by group 50", "chmod go-w /vms"],
  ["step d 711 1234 0 /a b|", "/a b is user 1234's", "chown -h root '/a b'"],
  ["step l 777 1234 0 /vms|", "/vms is user 1234's", "chown -h root /vms"],
])("a way to the disks as %j, on which others can put other disks, is a failure", async (way, says, command) => {
  expect((await examined({ way }))[1]).toBe(
    `failure storage folder: other users there can put other disks in place of these: ${says} -> look at what is in it, then: ${command}`,
  );
});

test("folders of root's group, of who is asked or has become root by sudo, and a link of theirs are in order", async () => {
  const way =
    "user 1000 1000 1001|step l 777 1000 1000 /vms|step d 775 1001 1000 /x|step d 2775 0 0 /y|step d 1777 0 0 /|";
  expect((await examined({ way }))[1]).toMatch(/^ok storage folder: /);
});

test("a folder that is open to QEMU's group alone is in order", async () => {
  const folders = "710 64055 root /vms\n711 0 root /\n";
  expect((await examined({ folders }))[1]).toBe(
    "ok storage folder: /vms is root's (710), and QEMU's user gets through to it",
  );
});

test("AppArmor without libvirt's helper is a failure", async () => {
  expect((await examined({ appArmor: "helpless\n" }))[2]).toBe(
    "failure AppArmor: is in use, and libvirt's helper for it is not installed: VMs would not get at their disks -> apt-get install libvirt-daemon-system",
  );
});

test.each([
  new ShellError("root@storage", ["sh"], 1, "This account is currently not available."),
  new UserError("This user may not do that.", [{ path: "user", rule: "must have the right", remedy: "name another" }]),
])("a host on which no program can be run is not called ill: %s", async (error) => {
  const run: Shell["run"] = () => Promise.reject(error);
  const [, folder, appArmor] = await examineMachine({ uri, virtualization: "kvm" }, "/vms", { uri, run });
  for (const finding of [folder, appArmor]) {
    expect(finding).toMatchObject({ level: "warning", says: expect.stringContaining("could not be looked at: ") });
  }
});

describe("on this machine", () => {
  let dir: string;
  beforeEach(() => {
    dir = realpathSync(mkdtempSync(path.join(tmpdir(), "machine-")));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test("a folder that is closed is found, on the way to one that is not there yet too", async () => {
    mkdirSync(path.join(dir, "closed"));
    chmodSync(dir, 0o755);
    const shell = shellFor("qemu:///system");
    const look = async (mode: number) => {
      chmodSync(path.join(dir, "closed"), mode);
      const found = await examineMachine({ uri, virtualization: "kvm" }, path.join(dir, "closed/vms"), shell);
      return found[1]?.says;
    };
    expect(await look(0o700)).toBe(`QEMU's user may not get through ${dir}/closed`);
    expect(await look(0o711)).toBe(`${dir}/closed/vms is not there yet, and QEMU's user gets through to it`);
  });

  test("a folder for VMs that is closed itself is opened by --fix, and none above it", async () => {
    chmodSync(dir, 0o755);
    mkdirSync(path.join(dir, "above/vms"), { recursive: true, mode: 0o700 });
    const storageDir = path.join(dir, "above/vms");
    const look = async () => {
      const [, folder] = await examineMachine({ uri, virtualization: "kvm" }, storageDir, shellFor("qemu:///system"));
      return folder;
    };
    expect((await look())?.fix).toBe("none");
    chmodSync(path.join(dir, "above"), 0o711);
    const found = await look();
    expect(found).toMatchObject({ says: `QEMU's user may not get through ${storageDir}`, fix: "possible" });
    await found?.mend?.();
    expect((await look())?.level).toBe("ok");
  });

  test.runIf(process.getuid?.() === 0)("an embedded host made under a umask of 077 is opened by --fix", async () => {
    chmodSync(dir, 0o711);
    const host = path.join(dir, "project-vms/demo");
    const storageDir = path.join(host, "vms");
    for (const folder of ["vms", "run/libvirt", "libvirt/lib/qemu/channel"]) {
      mkdirSync(path.join(host, folder), { recursive: true, mode: 0o700 });
    }
    const shell = shellFor(`qemu+unix:///system?socket=${host}/run/libvirt/libvirt-sock`);
    const look = async () => (await examineMachine({ uri, virtualization: "kvm" }, storageDir, shell))[1];
    const found = await look();
    const closed = [
      storageDir,
      host,
      path.dirname(host),
      ...["run", "run/libvirt", "libvirt", "libvirt/lib"].map((name) => path.join(host, name)),
    ];
    expect(found).toMatchObject({ says: `QEMU's user may not get through ${closed.join(", ")}`, fix: "possible" });
    await found?.mend?.();
    expect((await look())?.level).toBe("ok");
    expect(statSync(path.join(host, "libvirt/lib/qemu/channel")).mode & 0o7777).toBe(0o711);
    expect([host, storageDir].map((folder) => statSync(folder).mode & 0o7777)).toEqual([0o710, 0o710]);
  });
});
