import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scriptText } from "../../../data/host-script.ts";
import { withLimits } from "./limits.ts";

let dir: string;
let storage: string;
let folder: string;
let disk: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "purge & script's "));
  storage = path.join(dir, "vms");
  folder = path.join(storage, "myapp");
  disk = path.join(folder, "project.qcow2");
  mkdirSync(path.join(dir, "bin"));
  mkdirSync(folder, { recursive: true });
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "1M"]);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("'", "&apos;");

interface World {
  live?: string;
  inactive?: string;
  name?: string;
  broken?: string;
}

/** A libvirt with one domain, of these definitions; `broken` is a case of virsh's words with what it does then. */
function libvirt({ live = "", inactive, name = "rescue", broken = "" }: World = {}) {
  const xml = (disks: string) =>
    `<domain type='kvm'>\n  <name>${name}</name>\n  <devices>${disks}</devices>\n</domain>`;
  writeFileSync(path.join(dir, "live.xml"), xml(live));
  writeFileSync(path.join(dir, "inactive.xml"), xml(inactive ?? live));
  const text = `#!/bin/sh
echo "$*" >>"$WORLD/asked"
case $* in
  ${broken}
  *"pool-list --all --name") echo "project-myapp       " ;; # padded, as virsh does it
  *"list --all --uuid") echo 6695eb01-f6a4-8304-79aa-97f2502e193f ;;
  *"list --all --name") echo "${name}" ;;
  *--inactive) cat "$WORLD/inactive.xml" ;;
  *dumpxml*) cat "$WORLD/live.xml" ;;
esac
`;
  writeFileSync(path.join(dir, "bin/virsh"), text, { mode: 0o755 });
}

const purge = () =>
  execa(
    "sh",
    ["-c", withLimits(scriptText("purge.sh"), { ANSWER: 1 }), "purge.sh", "myapp", storage, "test:///x", "no"],
    {
      env: { PATH: `${dir}/bin:${process.env.PATH}`, WORLD: dir },
      reject: false,
    },
  );
const source = (attributes: string) => `<disk type='file'><source ${attributes}/><target dev='vdb'/></disk>`;
const qcow2 = (attributes: string) =>
  `<disk type='file' device='disk'>\n  <driver name='qemu' type='qcow2'/>\n  <source ${attributes}/>\n  <target dev='vda'/>\n</disk>`;
const refused = (stderr: string) => /^error: (.*)\nremedy: .*$/m.exec(stderr)?.[1];

describe("a purge", () => {
  test("of a disk that no domain uses removes it with its pool and its folder", async () => {
    libvirt({ live: source("file='/elsewhere/project.qcow2' index='1'") });
    expect(await purge()).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(folder)).toBe(false);
    expect(readFileSync(path.join(dir, "asked"), "utf8")).toMatch(/^-q -c test:\/\/\/x pool-undefine project-myapp$/m);
  });

  test.each<[string, () => World, () => string]>([
    ["as its disk", () => ({ live: source(`file='${escaped(disk)}' index='1'`) }), () => disk],
    [
      "by another spelling of its path",
      () => ({ live: source(`file='${escaped(folder)}//project.qcow2'`) }),
      () => `${folder}//project.qcow2`,
    ],
    [
      "through a link",
      () => {
        symlinkSync(folder, path.join(dir, "link"));
        return { live: source(`file='${escaped(path.join(dir, "link/project.qcow2"))}'`) };
      },
      () => path.join(dir, "link/project.qcow2"),
    ],
    ["as a volume of its pool", () => ({ live: source("pool='project-myapp' volume='project.qcow2'") }), () => disk],
    [
      "beneath an overlay",
      () => ({
        live: `${source("file='/elsewhere/overlay'")}<backingStore type='file'><source file='${escaped(disk)}'/></backingStore>`,
      }),
      () => disk,
    ],
    [
      "beneath its disk, and is off",
      () => {
        const overlay = path.join(dir, "overlay.qcow2");
        for (const [file, base] of [
          [`${overlay}.below`, disk],
          [overlay, `${overlay}.below`],
        ] as const)
          execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", path.relative(dir, base), file]);
        return { inactive: qcow2(`file='${escaped(overlay)}'`), live: "" };
      },
      () => disk,
    ],
    ["from its next start on", () => ({ live: "", inactive: source(`file='${escaped(disk)}'`) }), () => disk],
  ])("is refused while another domain has the disk %s", async (_, world, shown) => {
    libvirt(world());
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `rescue: must not use disks in ${folder}, but has ${shown()}`]);
    expect(readdirSync(folder)).toEqual(["project.qcow2"]);
  });

  test("is refused while it cannot be seen what another domain's disk stands on", async () => {
    const overlay = path.join(dir, "overlay.qcow2");
    writeFileSync(overlay, "no image");
    libvirt({ live: qcow2(`file='${escaped(overlay)}'`) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `${overlay}: must let be seen what it stands on`]);
    expect(existsSync(disk)).toBe(true);
  });

  test("is not held up by another domain's disk whose base is missing", async () => {
    const overlay = path.join(dir, "overlay.qcow2");
    execaSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "/nowhere/base", overlay, "1M"]);
    libvirt({ live: qcow2(`file='${escaped(overlay)}'`) });
    expect((await purge()).exitCode).toBe(0);
  });

  test("does not follow what a guest wrote at the beginning of a raw disk", async () => {
    const raw = path.join(dir, "raw.img");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, raw]);
    libvirt({ live: source(`file='${escaped(raw)}'`) });
    expect((await purge()).exitCode).toBe(0);
  });

  test("is refused while its own VM is defined, whatever disks that has", async () => {
    libvirt({ name: "project-myapp" });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, "project-myapp: must not be there: the disk is its own"]);
    expect(existsSync(disk)).toBe(true);
  });

  test.each([
    ["list --all --name", '*" list --all --name") exit 1 ;;', "list"],
    ["list --all --uuid", '*"list --all --uuid") exit 1 ;;', "list"],
    ["list --all --name, in time", '*" list --all --name") exec sleep 60 ;;', "list"],
  ])("removes nothing when libvirt does not answer %s", async (_, broken, verb) => {
    libvirt({ broken });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `test:///x: must answer \`virsh ${verb}\` within 1 s`]);
    expect(existsSync(disk)).toBe(true);
  });

  test.each(["dumpxml 6695eb01-f6a4-8304-79aa-97f2502e193f", "--inactive"])(
    "removes nothing when a domain that is there does not let itself be seen (%s)",
    async (words) => {
      libvirt({ broken: `*"${words}") exit 1 ;;` });
      const { exitCode, stderr } = await purge();
      expect([exitCode, refused(stderr)]).toEqual([
        1,
        "the domain 6695eb01-f6a4-8304-79aa-97f2502e193f: must let its definition be read",
      ]);
      expect(existsSync(disk)).toBe(true);
    },
  );

  test("is not held up by a domain that is removed while it looks", async () => {
    libvirt({
      broken:
        '*dumpxml*) touch "$WORLD/gone"; exit 1 ;; *"list --all --uuid") [ -e "$WORLD/gone" ] || echo 6695eb01 ;;',
    });
    expect((await purge()).exitCode).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });

  test("does not count a pool that libvirt cannot be asked about as gone", async () => {
    libvirt({ broken: '*"pool-list --all --name") exit 1 ;;' });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, "test:///x: must answer `virsh pool-list` within 1 s"]);
    libvirt();
    expect((await purge()).exitCode).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });

  test("is refused while a program that libvirt does not know has the disk", async () => {
    libvirt();
    const user = spawn("qemu-io", [disk], { stdio: ["pipe", "pipe", "ignore"] });
    await new Promise((resolve) => user.stdout.once("data", resolve));
    const { exitCode, stderr } = await purge();
    user.stdin.end("quit\n");
    expect([exitCode, refused(stderr)]).toEqual([1, `${disk}: must not be used by another program`]);
    expect(existsSync(disk)).toBe(true);
  });

  test("is refused where it cannot be known whether a program has the disk", async () => {
    libvirt();
    writeFileSync(path.join(dir, "bin/qemu-img"), "#!/bin/sh\necho 'sh: qemu-img: not found' >&2; exit 127\n", {
      mode: 0o755,
    });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([
      1,
      `${disk}: must be readable, or it cannot be known whether it is used`,
    ]);
    expect(existsSync(disk)).toBe(true);
  });

  test("removes what is no image any more", async () => {
    libvirt();
    writeFileSync(disk, "broken");
    expect((await purge()).exitCode).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });
});
