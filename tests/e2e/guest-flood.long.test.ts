import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { ConsoleLog } from "../../src/libvirt/console-log.ts";
import { embeddedHostFor } from "../../src/libvirt/embedded-layout.ts";
import { shellFor } from "../../src/libvirt/shell.ts";
import { virshFor } from "../../src/libvirt/virsh.ts";
import { VirshError } from "../../src/libvirt/virsh-error.ts";
import { openToNobody } from "./support/as-nobody.ts";
import { floodGuest } from "./support/flood-guest.ts";
import { pidInside } from "./support/process-inside.ts";

const host = embeddedHostFor("/nonexistent/guest-flood-test");
const virsh = virshFor(host.uri);
const folder = path.join(host.storageDir, "flood");
/** Of virtlogd: a file and three older ones. */
const bound = 4 * 2 ** 21;
let files: string;

const domain = `<domain type="qemu">
  <name>project-flood</name>
  <memory unit="MiB">32</memory>
  <os><type arch="x86_64">hvm</type></os>
  <devices>
    <disk type="file">
      <driver name="qemu" type="raw"/><source file="${folder}/disk.img"/><target dev="vda" bus="virtio"/>
    </disk>
    <serial type="pty"><log file="${folder}/console.log" append="on"/><target port="0"/></serial>
    <console type="pty"><target type="serial" port="0"/></console>
  </devices>
</domain>`;

const log = () => new ConsoleLog(shellFor(host.uri), path.join(folder, "console.log"));
const parts = () => readdirSync(folder).filter((name) => name.startsWith("console.log"));
const size = () => parts().reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
const newest = () => statSync(path.join(folder, "console.log"), { throwIfNoEntry: false })?.size ?? 0;

async function linesOf(pieces: AsyncIterable<Buffer>): Promise<string[]> {
  let text = "";
  for await (const piece of pieces) text += piece.toString("latin1");
  return text.split("\n").slice(0, -1);
}

/** The numbers that do not follow the one before them. */
const gaps = (lines: string[]) =>
  lines.filter((line, i) => i > 0 && Number.parseInt(line, 16) !== Number.parseInt(lines[i - 1] ?? "", 16) + 1);

beforeAll(async () => {
  files = await mkdtemp(path.join(tmpdir(), "guest-flood-test-"));
  await stopEmbeddedHost(host, () => undefined, 1);
  await wipeEmbeddedHost(host);
  await startEmbeddedHost(host, console.error);
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  writeFileSync(path.join(folder, "disk.img"), floodGuest(), { mode: 0o600 });
  // Parts that have been rotated already: what comes next must take their place.
  for (const name of ["console.log.0", "console.log.1", "console.log.2"]) {
    writeFileSync(path.join(folder, name), Buffer.alloc(2 ** 21, "old\n"), { mode: 0o600 });
  }
  writeFileSync(path.join(folder, "console.log"), Buffer.alloc(2 ** 21 - 1000, "old\n"), { mode: 0o600 });
  writeFileSync(path.join(files, "domain.xml"), domain);
  await virsh.run("define", path.join(files, "domain.xml"));
  await virsh.run("start", "project-flood");
});
afterAll(async () => {
  await stopEmbeddedHost(host, () => undefined, 1);
  await wipeEmbeddedHost(host);
  rmSync(files, { recursive: true, force: true });
});

test("a guest that floods its console for 20 s stays within the bound", async () => {
  await expect.poll(newest, { timeout: 120_000 }).toBeLessThan(2 ** 20);
  for (let second = 0; second < 20; second += 1) {
    await sleep(1000);
    expect(size()).toBeLessThanOrEqual(bound);
  }
  expect(parts().sort()).toEqual(["console.log", "console.log.0", "console.log.1", "console.log.2"]);
});

test("its log is followed over a rotation, each line once, and its last lines are those of now", async () => {
  const followed = log();
  let text = "";
  for await (const piece of followed.last(2)) text += piece.toString("latin1");
  const rotated = statSync(path.join(folder, "console.log.0")).ino;
  const end = Date.now() + 300_000;
  /** Whether enough came: the guest prints faster than it is read to the end. */
  const isEnough = () =>
    (statSync(path.join(folder, "console.log.0")).ino !== rotated && newest() > 20_000) || Date.now() > end;
  const take = async () => {
    for await (const piece of followed.more()) {
      text += piece.toString("latin1");
      if (isEnough()) return;
    }
  };
  while (!isEnough()) {
    // On a busy machine virsh may take too long now and then; nothing is lost by that.
    await take().catch((error: unknown) => {
      if (!(error instanceof VirshError)) throw error;
    });
    await sleep(1000);
  }
  await take();
  const lines = text.split("\n").slice(0, -1);
  expect(statSync(path.join(folder, "console.log.0")).ino).not.toBe(rotated);
  expect(lines.length).toBeGreaterThan(1000);
  expect(gaps(lines)).toEqual([]);
  // The very last one may be half printed, and counts.
  const last = (await linesOf(log().last(4))).slice(0, 3);
  expect(last).toHaveLength(3);
  expect(Number.parseInt(last[0] ?? "", 16)).toBeGreaterThan(Number.parseInt(lines.at(-1) ?? "", 16));
});

test("it is logged on when libvirtd dies", async () => {
  process.kill(pidInside(host, "libvirtd"), "SIGKILL");
  const before = newest();
  await expect.poll(newest, { timeout: 60_000 }).not.toBe(before);
  await expect.poll(() => virsh.run("domstate", "project-flood").catch(() => ""), { timeout: 60_000 }).toBe("running");
});

test("nobody of this machine can list or read anything of the host while it runs", () => {
  expect(openToNobody(host.dir)).toEqual([]);
});

test("of a log of 3 GiB the last lines are there within seconds", async () => {
  await virsh.run("destroy", "project-flood");
  for (const name of parts()) rmSync(path.join(folder, name));
  const file = path.join(folder, "console.log");
  execFileSync("sh", ["-c", 'truncate -s 3G "$1" && printf "\\none\\ntwo\\nthree\\n" >>"$1"', "sh", file]);
  const started = Date.now();
  expect(await linesOf(log().last(3))).toEqual(["one", "two", "three"]);
  expect(Date.now() - started).toBeLessThan(30_000);
});
