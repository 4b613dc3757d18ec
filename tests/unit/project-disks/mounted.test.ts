import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { execa } from "execa";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ShellError } from "../../../src/libvirt/shell.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";
import { requireMounted } from "../../../src/project-disks/mounted.ts";
import { machineOfItsOwn, onMachine, passes, refusal } from "./on-machine.ts";

/** A host whose programs say this. */
const there = vi.hoisted(() => ({ run: async (): Promise<string> => "" }));
vi.mock("../../../src/libvirt/shell.ts", async (original) => ({
  ...(await original<object>()),
  shellFor: (uri: string) => ({ uri, run: () => there.run() }),
}));

const { at, run, program, byFstab } = machineOfItsOwn();
const mount = (point: string, type = "ext4", options = "rw") =>
  appendFileSync(at("mounts"), `36 35 0:50 / ${point} rw shared:1 - ${type} x ${options}\n`);

describe("a place on a disk that is to be mounted", () => {
  test("is refused while that is not", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("disk")} ext4 noauto 0 0\n`);
    for (const place of [at("disk"), at("disk/backups/webapp")])
      expect(await run("mounted.sh", "/", place)).toEqual({
        ...passes,
        exitCode: 1,
        stderr: byFstab(place, at("disk")),
      });
    expect(await run("mounted.sh", at("disk2"), at())).toEqual(passes);
    writeFileSync(at("mounts"), `36 35 98:0 / ${at("disk")} rw - ext4 /dev/sdb1 rw\n`);
    expect(await run("mounted.sh", at("disk/backups"))).toEqual(passes);
  });

  test("is told by the nearest mount point, whatever is in its name, and through links", async () => {
    const [far, near] = [at("far"), at("far", "it's disk 2")];
    mkdirSync(near, { recursive: true });
    symlinkSync(near, at("link"));
    writeFileSync(at("fstab"), `UUID=1 ${far} ext4\n\tUUID=2\t${near.replaceAll(" ", "\\040")}\text4\n`);
    writeFileSync(at("mounts"), `36 35 98:0 / ${far} rw - ext4 /dev/sdb1 rw\n`);
    expect((await run("mounted.sh", far, at("link/vms"))).stderr).toBe(byFstab(at("link/vms"), near));
    writeFileSync(at("mounts"), `36 35 98:0 / ${near.replaceAll(" ", "\\040")} rw - ext4 /dev/sdb2 rw\n`);
    expect(await run("mounted.sh", at("link/vms"))).toEqual(passes);
  });

  test("is told by systemd's mount units", async () => {
    writeFileSync(at("units", "srv-my\\x2ddisk.mount"), `[Mount]\nWhat=/dev/sdb1\nWhere=${at("my-disk")}\n`);
    expect((await run("mounted.sh", at("my-disk/vms"))).stderr).toBe(
      refusal(at("my-disk/vms"), "srv-my\\x2ddisk.mount", at("my-disk"), "systemctl start 'srv-my\\x2ddisk.mount'"),
    );
  });

  test("is not mounted by another's mount point that has a line break in its name", async () => {
    writeFileSync(at("fstab"), `UUID=1 ${at("vms")} ext4\n`);
    writeFileSync(at("mounts"), `36 28 0:32 / /home/mallory/x\\012${at("vms")} rw - fuse.sshfs x rw\n`);
    expect((await run("mounted.sh", at("vms/web"))).stderr).toBe(byFstab(at("vms/web"), at("vms")));
    const odd = at("vms").replaceAll("/vms", "/a\\134012b");
    writeFileSync(at("fstab"), `UUID=1 ${odd} ext4\n`);
    writeFileSync(at("mounts"), `36 28 0:32 / ${odd} rw - ext4 x rw\n`);
    expect(await run("mounted.sh", at("a\\012b/web"))).toEqual(passes);
  });

  test("is told through the links of root's on the way to a mount point", async () => {
    for (const name of ["vms", "far", "far/deep"]) mkdirSync(at(name));
    symlinkSync("../vms", at("far/disk"));
    symlinkSync("deep/../../far/disk/", at("far/second"));
    symlinkSync(at("far"), at("near"));
    symlinkSync("loop", at("loop"));
    for (const point of [at("far/disk"), at("far/second"), at("near/disk"), `${at("far")}//./deep/../disk/`]) {
      writeFileSync(at("fstab"), `UUID=1 ${point} ext4\nUUID=2 ${at("loop/x")} ext4\n`);
      expect((await run("mounted.sh", at("vms/web"))).stderr).toBe(byFstab(at("vms/web"), at("vms")));
    }
  });

  describe.runIf(process.getuid?.() === 0)("is told through no link on that way that another user", () => {
    beforeEach(() => {
      for (const name of ["vms", "vms/web", "mallory"]) mkdirSync(at(name));
      chmodSync(at(), 0o755);
      writeFileSync(at("fstab"), `//nas/m ${at("mallory/nas")} cifs user,noauto\n`);
    });
    const made = (to: string) => {
      symlinkSync(to, at("mallory/nas"));
      lchownSync(at("mallory/nas"), 1234, 1234);
    };

    test.each<[string, () => void]>([
      ["has made", () => made(at("vms"))],
      ["has made, with a line break in what it leads to", () => made(`${at("none")}\nmount ${at("vms")}`)],
      [
        "can put another link in the place of, since the folder is that user's",
        () => {
          symlinkSync(at("vms"), at("mallory/nas"));
          chownSync(at("mallory"), 1234, 1234);
        },
      ],
      [
        "can put another link in the place of, since all may write to the folder",
        () => {
          symlinkSync(at("vms"), at("mallory/nas"));
          chmodSync(at("mallory"), 0o777);
        },
      ],
      [
        "has made behind one of root's",
        () => {
          made(at("vms"));
          symlinkSync(at("mallory/nas"), at("second"));
          writeFileSync(at("fstab"), `//nas/m ${at("second")} cifs user,noauto\n`);
        },
      ],
    ])("%s", async (_, make) => {
      make();
      expect(await run("mounted.sh", at("vms/web"))).toEqual(passes);
    });

    test("has made elsewhere: a mount point without a link counts in such a user's folder, too", async () => {
      chownSync(at("mallory"), 1234, 1234);
      expect((await run("mounted.sh", at("mallory/nas/vms"))).stderr).toBe(
        byFstab(at("mallory/nas/vms"), at("mallory/nas")),
      );
    });
  });

  test("is not missed where something is mounted nearer to the place", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto nofail 0 2\n`);
    mount("/");
    mount(at("mnt/tank"), "zfs");
    expect(await run("mounted.sh", at("mnt/tank/vms"), at("mnt/tank"))).toEqual(passes);
    expect((await run("mounted.sh", at("mnt/tank2"))).stderr).toBe(byFstab(at("mnt/tank2"), at("mnt")));
  });

  test.each([
    ["nearer to the place", "mnt/mallory"],
    ["at its mount point", "mnt"],
  ])("is missed where another user has mounted something %s", async (_, point) => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto\n`);
    mount(at(point), "fuse.sshfs", "rw,user_id=1234,group_id=0");
    expect((await run("mounted.sh", at("mnt/mallory/vms"))).stderr).toBe(byFstab(at("mnt/mallory/vms"), at("mnt")));
    mount(at(point), "fuse.mergerfs", "rw,user_id=0,group_id=0");
    expect(await run("mounted.sh", at("mnt/mallory/vms"))).toEqual(passes);
  });

  test("is not mounted by systemd's wish to do so, but may be once it is looked at", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto noauto,x-systemd.automount 0 2\n`);
    mount(at("mnt"), "autofs");
    expect((await run("mounted.sh", at("mnt/vms"))).stderr).toBe(byFstab(at("mnt/vms"), at("mnt")));
    program("ls", `echo '37 36 8:17 / ${at("mnt")} rw - ext4 /dev/sdb1 rw' >>${at("mounts")}`);
    expect(await run("mounted.sh", at("mnt/vms"))).toEqual(passes);
  });

  test("is told by a last line without its line break", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto defaults 0 2`);
    expect((await run("mounted.sh", at("mnt/vms"))).stderr).toBe(byFstab(at("mnt/vms"), at("mnt")));
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")}`);
    expect((await run("mounted.sh", at("mnt/vms"))).stderr).toBe(byFstab(at("mnt/vms"), at("mnt")));
  });

  test("is not known to be away where /proc is not there", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto defaults 0 2\n`);
    rmSync(at("mounts"));
    expect(await run("mounted.sh", at("mnt/vms"))).toEqual(passes);
  });

  test("is seen through links by a readlink that has no -m", async () => {
    program(
      "readlink",
      'case $1 in -m) echo "unrecognized option: m" >&2; exit 1 ;; esac; exec /usr/bin/readlink "$@"',
    );
    mkdirSync(at("mnt"));
    symlinkSync(at("mnt"), at("link"));
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto defaults 0 2\n`);
    for (const place of [at("mnt/vms"), at("link/vms")])
      expect((await run("mounted.sh", place)).stderr).toBe(byFstab(place, at("mnt")));
  });

  test("may have a line break in its name", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("mnt")} auto defaults 0 2\n`);
    expect(await run("mounted.sh", at("a\nb"), at("c"))).toEqual(passes);
    expect((await run("mounted.sh", at("a\nb"), at("mnt/vms"))).stderr).toBe(byFstab(at("mnt/vms"), at("mnt")));
  });

  test("is none that is commented out, swap, or the root", async () => {
    writeFileSync(
      at("fstab"),
      `# UUID=1 ${at("a")} ext4\n#/dev/sdb1 ${at("b")} ext4\nUUID=3 none swap\nUUID=4 / ext4\n\n`,
    );
    symlinkSync("/dev/null", at("units", "tmp.mount"));
    expect(await run("mounted.sh", at("a"), at("b"), "/")).toEqual(passes);
  });
});

test("a share that is mounted is not looked at for the sake of another place, for its server may be away", async () => {
  for (const name of ["dead", "mnt"]) mkdirSync(at(name));
  writeFileSync(at("fstab"), `nas:/a ${at("dead/")} nfs\nUUID=2 ${at("mnt")} ext4\n`);
  mount(at("dead"), "nfs4");
  // Whether a file is a link is the shell's own look, which nothing else shows.
  const text = onMachine(scriptText("mounted.sh"), at()).replace(
    "follow() {",
    `follow() {\n  echo "$1" >>${at("log")}`,
  );
  await execa("sh", ["-c", text, "mounted.sh", at("vms")]);
  expect(readFileSync(at("log"), "utf8")).toBe(`${at("mnt")}\n`);
});

describe("what is on a disk that is not mounted is not known to be gone:", () => {
  test.each([
    ["read-disk.sh", () => [at("vms"), "backups"], "backups"],
    ["newest-backups.sh", () => [at("vms"), "webapp"], "backups/webapp"],
    ["list-backups.sh", () => [at("vms/backups/webapp")], "backups/webapp"],
  ])("%s", async (script, args, place) => {
    mkdirSync(at("vms/backups"), { recursive: true });
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("vms/backups")} ext4\n`);
    const { exitCode, stderr } = await run(script, ...args());
    expect([exitCode, stderr]).toEqual([1, byFstab(at("vms", place), at("vms/backups"))]);
    writeFileSync(at("mounts"), `36 35 98:0 / ${at("vms/backups")} rw - ext4 /dev/sdb1 rw\n`);
    expect(await run(script, ...args())).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test.each([
    ["purge.sh", () => ["webapp", at("vms"), "test:///x", "no"]],
    ["import.sh", () => ["webapp", at("vms"), "test:///x", at("image.qcow2")]],
  ])("%s does nothing", async (script, args) => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("vms")} ext4\n`);
    const { exitCode, stderr } = await run(script, ...args());
    expect([exitCode, stderr]).toEqual([1, byFstab(at("vms/webapp"), at("vms"))]);
    expect(existsSync(at("vms"))).toBe(false);
  });

  test("purge.sh looks for backups only where they are to go", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("vms/backups")} ext4\n`);
    mkdirSync(at("vms/webapp"), { recursive: true });
    program("virsh", "exit 0");
    const purge = (backups: string) => run("purge.sh", "webapp", at("vms"), "test:///x", backups);
    expect(await purge("yes")).toEqual({
      ...passes,
      exitCode: 1,
      stderr: byFstab(at("vms/backups/webapp"), at("vms/backups")),
    });
    expect(existsSync(at("vms/webapp"))).toBe(true);
    expect(await purge("no")).toEqual(passes);
    expect(existsSync(at("vms/webapp"))).toBe(false);
  });

  test("no new disk is begun in its place", async () => {
    writeFileSync(at("fstab"), `/dev/sdb1 ${at("vms")} ext4\n`);
    const { stderr } = await run("mounted.sh", at("vms/webapp"));
    there.run = () => Promise.reject(new ShellError("here", ["sh"], 1, stderr));
    const host = { uri: "test:///x", storageDir: at("vms") };
    const fact = byFstab(at("vms/webapp"), at("vms")).replace("error: ", "  - ").replace("remedy: ", "    ");
    await expect(requireMounted(host, ["webapp"], "It is not given.")).rejects.toThrow(`It is not given.\n${fact}`);
    await requireMounted(host, [], "It is not given.");
    there.run = () => Promise.reject(new ShellError("here", ["sh"], 127, "sh: not found"));
    await requireMounted(host, ["webapp"], "It is not given.");
  });
});
