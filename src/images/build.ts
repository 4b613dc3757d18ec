import { access, chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { execa } from "../core/execa.ts";
import { programEnvironment } from "../core/program-environment.ts";
import { requirePrograms, requireRoot } from "../core/programs.ts";
import { removeWhenInterrupted } from "./interrupted.ts";
import { buildEnvironment, type Mirror, type Recipe } from "./recipe.ts";

/** What building needs, and Debian's packages that have it. */
const programs = {
  mmdebstrap: "mmdebstrap",
  mke2fs: "e2fsprogs",
  sfdisk: "fdisk",
  "grub-mkimage": "grub-common",
  "mkfs.fat": "dosfstools",
  mcopy: "mtools",
  "qemu-img": "qemu-utils",
  unshare: "util-linux",
  setpriv: "util-linux",
};

/** What GRUB is put together from, and Debian's packages that have it. */
const grubFiles = {
  "/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin",
  "/usr/lib/grub/x86_64-efi/moddep.lst": "grub-efi-amd64-bin",
};

/** How many of the last lines of a failed build are shown. */
const linesOfFailure = 20;

/** How often a line says that a stage is still going on, in seconds. */
const heartbeatSeconds = 30;

/**
 * Builds an image from a recipe. Some minutes; whatever it started or mounted goes with it, however it ends.
 *
 * @param output the qcow2 to write
 * @throws UserError with the stage that failed and the end of its output
 */
export async function buildImage(recipe: Recipe, output: string, log: (line: string) => void): Promise<void> {
  requireRoot("Building an image");
  await requirePrograms(programs);
  await requireBuilders();
  const work = await newWorkFolder(output);
  const started = performance.now();
  const lines: string[] = [];
  let stage = "start";
  const say = () => log(`building the base image: ${stage}, ${Math.round((performance.now() - started) / 1000)} s`);
  const heartbeat = setInterval(say, heartbeatSeconds * 1000);
  let callOff = () => {};
  try {
    const mirror = await debianMirror();
    if (!mirror.checksValidUntil) {
      log("building the base image: how old Debian's packages are is not checked, as in this machine's own apt");
    }
    // Under a umask of 077 the users of a VM could run nothing that was put into its image.
    const command = ['umask 022; exec "$0"', path.join(import.meta.dirname, "build-debian.sh")];
    const script = execa("sh", ["-c", ...command], {
      env: { ...programEnvironment("build"), ...buildEnvironment(recipe, mirror, work, output) },
      extendEnv: false,
      stdin: "ignore",
      all: true,
      buffer: false,
      reject: false,
    });
    callOff = removeWhenInterrupted([work, output], () => void script.kill("SIGKILL"));
    for await (const line of script.iterable({ from: "all" })) {
      if (line.startsWith("==> ")) {
        stage = line.slice(4);
        say();
      }
      lines.push(line);
      if (lines.length > linesOfFailure) lines.shift();
    }
    const { exitCode } = await script;
    if (exitCode !== 0) throw buildFailure(stage, lines);
  } finally {
    clearInterval(heartbeat);
    callOff();
    await rm(work, { recursive: true, force: true });
  }
}

/** A folder of this build's own: one that was killed may still be clearing up. What such a one has left is taken away. */
async function newWorkFolder(output: string): Promise<string> {
  const prefix = `${path.basename(output)}.work-`;
  const folder = path.dirname(output);
  const left = (await readdir(folder)).filter((name) => name.startsWith(prefix));
  // Its last processes may still be dying.
  for (const name of left) await rm(path.join(folder, name), { recursive: true, force: true, maxRetries: 20 });
  const own = await mkdtemp(path.join(folder, prefix));
  // apt downloads as a user of its own.
  await chmod(own, 0o755);
  return own;
}

/** What need not be a Debian package's is looked for on the user's PATH. */
async function requireBuilders(): Promise<void> {
  const missing: Issue[] = [];
  const require = async (path: string, check: Promise<unknown>, remedy: string) =>
    check.catch(() => missing.push({ path, rule: "must be installed", remedy }));
  await require("npm", execa("npm", ["--version"]), "install Node.js with npm");
  await require("go", execa("go", ["version"]), "install Go: Tailscale is built from its Go module");
  for (const [file, pkg] of Object.entries(grubFiles)) {
    await require(file, access(file), `apt-get install --no-install-recommends ${pkg}`);
  }
  if (missing.length > 0) throw new UserError("Building an image needs programs that are not here.", missing);
}

function buildFailure(stage: string, lines: string[]): UserError {
  const shown = lines.map((line) => `  | ${line}`).join("\n");
  return new UserError(`The base image could not be built: stage "${stage}" failed. The end of its output:\n${shown}`);
}

/**
 * The Debian mirror that this machine's own apt uses. Whoever set one that stands still has told apt so; for all others, an old
 * state of Debian is refused: anybody on the way could replay one, correctly signed.
 */
async function debianMirror(): Promise<Mirror> {
  const { stdout } = await execa("apt-get", ["indextargets", "--format", "$(CREATED_BY) $(REPO_URI)"]);
  const uri = mirrorIn(stdout);
  if (uri) requireNoLogin(uri);
  const { stdout: setting } = await execa("apt-config", ["shell", "checks", "Acquire::Check-Valid-Until/b"]);
  if (uri) return { uri, checksValidUntil: checksValidUntil(setting) };
  throw new UserError("The base image could not be built: apt on this machine knows no Debian mirror.", [
    {
      path: "/etc/apt/sources.list",
      rule: "must name a Debian mirror",
      remedy: "add one, or give a published image in the stack's config: image: {kind: url, …}",
    },
  ]);
}

/** The first repository of Debian itself among apt's index targets, one `<kind> <uri>` a line. */
export function mirrorIn(targets: string): string | undefined {
  const uris = targets
    .split("\n")
    .flatMap((line) => (line.startsWith("Packages ") ? [line.slice("Packages ".length)] : []));
  return uris.find((uri) => /\/debian\/?$/.test(uri));
}

/**
 * The mirror's URI is written into the image, which each guest reads, and is an argument of a process.
 *
 * @throws UserError that does not show a password in it
 */
export function requireNoLogin(uri: string): void {
  const [, scheme = "", host = "", rest = ""] = /^(.*?:\/\/)[^/]*@([^/]*)(.*)$/.exec(uri) ?? [];
  if (host === "") return;
  const message =
    "The base image could not be built: apt's source of Debian has a password in its URI, which each guest could read.";
  const login = `machine ${scheme}${host} login <user> password <password>`;
  throw new UserError(message, [
    {
      path: `${scheme}${host}${rest}`,
      rule: "must have no user and password in /etc/apt/sources.list or /etc/apt/sources.list.d",
      remedy: `put them into a file that only root reads, /etc/apt/auth.conf.d/mirror.conf: ${login}`,
    },
  ]);
}

/** Whether apt looks at how old a repository is, from `apt-config shell`: it does unless it is told not to. */
export function checksValidUntil(setting: string): boolean {
  return !/^checks='false'$/m.test(setting);
}
