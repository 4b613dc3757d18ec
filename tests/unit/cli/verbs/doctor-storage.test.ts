import { expect, test } from "vitest";
import { ShellError } from "../../../../src/libvirt/shell.ts";
import { examineStorage } from "../../../../src/operations/doctor/storage.ts";
import { anInventory } from "../../found.ts";

const uri = "qemu+ssh://root@storage/system";

/** What is said of a host where this is open, and what was run there to mend it. */
async function examined(open: string, config = "") {
  const ran: string[][] = [];
  const run = async (argv: string[]) => {
    if (argv.includes("close")) ran.push(argv.slice(4));
    return argv.includes("/etc/libvirt/qemu.conf") ? config : open.replaceAll("|", "\0");
  };
  const [finding] = await examineStorage(anInventory(), "/vms", { uri: "qemu:///system", run });
  await finding?.mend?.();
  return { level: finding?.level, says: finding?.says, remedy: finding?.remedy, fix: finding?.fix, ran };
}

test("a host whose disks are closed is in order", async () => {
  expect(await examined("")).toMatchObject({ level: "ok", says: "nobody but root and QEMU reads what is in /vms" });
});

test("open disks are a failure that --fix mends", async () => {
  expect(await examined("in /vms/a b|f project.qcow2|in /vms/c|f seed.iso|in /vms|d |")).toEqual({
    level: "failure",
    says: "any user there may read or change 2 files: /vms/a b/project.qcow2, /vms/c/seed.iso; any user there may list /vms",
    remedy: "chmod go-rwx '/vms/a b/project.qcow2' /vms/c/seed.iso; chmod go-rw /vms",
    fix: "possible",
    ran: [["close", "/vms", ""]],
  });
});

test("of many only some are named", async () => {
  const { says } = await examined(`in /vms|${[1, 2, 3, 4, 5].map((n) => `f ${n}|`).join("")}`);
  expect(says).toBe("any user there may read or change 5 files: /vms/1, /vms/2, /vms/3 and 2 more");
});

test("nothing is closed where QEMU could not get at its disks then", async () => {
  expect(await examined("in /vms/a|f project.qcow2|", "0\n")).toMatchObject({
    level: "failure",
    remedy: expect.stringContaining("dynamic_ownership = 1"),
    fix: "none",
    ran: [],
  });
});

test("a folder in which other users can put other files is a failure that --fix leaves alone", async () => {
  expect(await examined("in /vms/a|u |in /vms/b|f project.qcow2|")).toEqual({
    level: "failure",
    says: "other users there can put other files in place of those in /vms/a; any user there may read or change 1 file: /vms/b/project.qcow2",
    remedy: "look at what is in it, then: chown root /vms/a; chmod go-w /vms/a; then: project-vm doctor --fix",
    fix: "none",
    ran: [],
  });
});

test("a host on which no program can be run is not called ill", async () => {
  const run = () => Promise.reject(new ShellError("root@storage", ["sh"], 1, "not available"));
  const [finding] = await examineStorage(anInventory(), "/vms", { uri, run });
  expect(finding).toMatchObject({ level: "warning", says: expect.stringContaining("could not be looked at: ") });
});
