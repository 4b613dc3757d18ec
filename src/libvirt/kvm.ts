import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { arch, tmpdir } from "node:os";
import path from "node:path";
import { ownCache } from "../core/cache-folder.ts";
import { kvmGuest, kvmGuestAnswer } from "./kvm-guest.ts";

/** Whether this machine can run guests by KVM. `why` is one line, for the user. */
export interface KvmVerdict {
  works: boolean;
  why: string;
  /** This user may not open /dev/kvm, so nothing is known. */
  mayNotTry?: true;
}

/**
 * What one run of the test guest showed. `sure` is false where another run may show something else (no time left on a
 * busy machine).
 */
interface Trial extends KvmVerdict {
  sure: boolean;
}

const qemu = "/usr/bin/qemu-system-x86_64";

/** Seconds; where KVM works the guest needs a tenth of one. */
const guestLimit = 5;

/** isa-debug-exit ends QEMU with this code for the answer n. */
const exitCodeFor = (answer: number) => answer * 2 + 1;

/**
 * Whether KVM really runs a guest here, with the machine's own CPU: a /dev/kvm is no proof, since some hosts offer
 * one that only kernels made for it can run on. Runs a guest of one sector (kvm-guest.S) in a fraction of a second;
 * the verdict is kept until the machine boots or QEMU changes.
 *
 * @example const { works, why } = await kvmWorks(); // { works: false, why: "there is no /dev/kvm" }
 */
export async function kvmWorks(cacheFile = defaultCacheFile()): Promise<KvmVerdict> {
  const no = (why: string) => ({ works: false, why });
  if (arch() !== "x64") return no(`this machine is ${arch()}, the VMs are x86-64`);
  if (!(await can("/dev/kvm", constants.F_OK))) return no("there is no /dev/kvm");
  if (!(await can("/dev/kvm", constants.R_OK | constants.W_OK))) {
    return { ...no("this user may not open /dev/kvm"), mayNotTry: true };
  }
  if (!(await can(qemu, constants.X_OK))) return no(`${path.basename(qemu)} is not installed`);
  const key = await machineKey();
  const known = await readCache(cacheFile, key);
  if (known) return known;
  const { sure, ...verdict } = await tryGuest("kvm");
  if (sure) await writeCache(cacheFile, key, verdict);
  return verdict;
}

/** Runs the test guest by KVM, or by emulation (where it always works: for tests of the guest itself). */
export async function tryGuest(accelerator: "kvm" | "tcg"): Promise<Trial> {
  const dir = await mkdtemp(path.join(tmpdir(), "kvm-guest-"));
  try {
    const image = path.join(dir, "guest.img");
    await writeFile(image, kvmGuest());
    return await runGuest(accelerator, image);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function runGuest(accelerator: "kvm" | "tcg", image: string): Promise<Trial> {
  const devices = ["-nodefaults", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"];
  const machine = ["-accel", accelerator, "-cpu", accelerator === "kvm" ? "host" : "max", "-m", "32"];
  const child = spawn(qemu, [...machine, ...devices, "-drive", `file=${image},format=raw,if=ide`], {
    cwd: path.dirname(image),
    stdio: ["ignore", "ignore", "pipe"],
  });
  return new Promise((resolve) => {
    let said = "";
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, guestLimit * 1000);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      // QEMU then keeps the guest standing still, for a debugger.
      if (/KVM internal error|emulation failure/.test(said)) child.kill("SIGKILL");
    });
    const done = (trial: Trial) => {
      clearTimeout(limit);
      resolve(trial);
    };
    child.on("error", (error) => done({ works: false, why: error.message, sure: false }));
    child.on("close", (code) => done(judge(code, said, late)));
  });
}

/** The verdict on a run of the test guest, by QEMU's exit code and standard error. */
export function judge(exitCode: number | null, stderr: string, late: boolean): Trial {
  if (exitCode === exitCodeFor(kvmGuestAnswer)) return { works: true, why: "a test guest ran", sure: true };
  if (late) return { works: false, why: `a test guest stood still for ${guestLimit} s`, sure: false };
  const lines = stderr.split("\n").map((line) => line.replace(/^qemu-system-\S+: (error: )?/, "").trim());
  const reason = lines.find((line) => line !== "") ?? `exit code ${exitCode}`;
  return { works: false, why: `a test guest did not run: ${reason}`, sure: true };
}

function can(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}

/** What a verdict holds for: this boot of this kernel, and this QEMU. */
async function machineKey(): Promise<string> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  return `${bootId} ${(await stat(qemu)).mtimeMs}`;
}

const defaultCacheFile = () => path.join(ownCache(), "kvm.json");

async function readCache(file: string, key: string): Promise<KvmVerdict | undefined> {
  try {
    const { works, why, ...read } = JSON.parse(await readFile(file, "utf8"));
    return read.key === key && typeof works === "boolean" && typeof why === "string" ? { works, why } : undefined;
  } catch {
    return undefined; // not there yet, or not ours
  }
}

/** Without a cache that can be written the guest just runs each time. */
async function writeCache(file: string, key: string, verdict: KvmVerdict): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    const own = `${file}.${process.pid}`;
    await writeFile(own, `${JSON.stringify({ key, ...verdict })}\n`);
    await rename(own, file);
  } catch {
    // See above.
  }
}
