import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { defaults } from "../src/config/defaults.ts";
import { UserError } from "../src/core/errors.ts";
import { execa } from "../src/core/execa.ts";
import { log } from "../src/core/progress.ts";
import { runProgram } from "../src/core/run-program.ts";
import { ensureImage } from "../src/images/image.ts";
import { takeInventory } from "../src/libvirt/inventory.ts";
import { playBoot } from "./boot.ts";
import { command, interruption } from "./command.ts";
import type { Contender } from "./contender.ts";
import { BenchHost, benchDir } from "./host.ts";
import { PulumiContender } from "./pulumi.ts";
import { ratioLines, renderTable, type Timing } from "./report.ts";
import { playRound } from "./round.ts";
import { type BenchSettings, benchSettings } from "./settings.ts";
import { bridgeProviders, TerraformContender } from "./terraform.ts";
import { VirshContender } from "./virsh.ts";
import type { Workload } from "./workload.ts";

const notes = `
up, preview, add-one, destroy: VMs that are made and not left running, all by the same resources (pool, root disk, project
disk, seed, domain; for the host a base pool, a base image of nothing and a network). The libvirt provider boots such a
domain for a moment and cuts it off, so virsh does too. virsh: one process, one command after another; its preview is
reading all definitions back. terraform: the same provider binary; it reads all back at preview, as its plan does by
default. Seeds, XML and terraform's files are made before its time and virsh's begin, but within ours. No one has a
preview before its up. list: \`project-vm list\`, a process of its own that reads the stack's file too; virsh and terraform's state
for the same facts, of which terraform has only those of its last run. All keep pools, project disks and base image at destroy.
ready: one VM of the built base image, added to a host that has network and image: pulumi up until it is ready
(cloud-init, disk, network, Docker, Nix, Claude Code), against virsh define and start until cloud-init is done.
×: how many times as long as the other we take.`;

/** How long an interrupted step has to end, in milliseconds. */
const grace = 10_000;

/** `make bench`: times, side by side. BENCH_SIZES and BENCH_BOOT make the run smaller. */
async function main(): Promise<void> {
  const settings = benchSettings(process.env);
  const image = settings.boot ? await ensureImage({ kind: "build" }, log) : undefined;
  // Seeds and the image of the bench go with it, and are not there from a run before.
  process.env.XDG_CACHE_HOME = path.join(benchDir, "cache");
  const host = new BenchHost();
  const timings: Timing[] = [];
  const interrupted = new Promise<never>((_, reject) => {
    const stop = (signal: string) => {
      interruption.abort();
      reject(new UserError(`The bench was interrupted (${signal}).`));
    };
    // Not `once`: what proper-lockfile listens with ends the process at once when it finds no other listener left.
    process.on("SIGINT", stop).on("SIGTERM", stop);
  });
  const work = play(host, settings, image, (timing) => timings.push(timing));
  try {
    await Promise.race([work, interrupted]);
  } finally {
    await Promise.race([work.catch(() => undefined), delay(grace, undefined, { ref: false })]);
    await host.remove();
    log("bench: nothing of it is left on this machine");
    if (timings.length > 0) console.log(["", renderTable(timings), notes, "", ...ratioLines(timings)].join("\n"));
  }
}

async function play(
  host: BenchHost,
  settings: BenchSettings,
  image: Awaited<ReturnType<typeof ensureImage>> | undefined,
  record: (timing: Timing) => void,
): Promise<void> {
  await host.start(log);
  const workload = await engineWorkload(host);
  const pulumi = new PulumiContender(host);
  const virsh = new VirshContender(host);
  const contenders: Contender[] = [pulumi, virsh, ...(await terraform(host))];
  const playAll = async (size: number, take: typeof record) => {
    for (const contender of contenders) await playRound(contender, host, workload, size, take);
  };
  if (settings.sizes.length > 0) {
    log("a round that does not count, so that nobody pays for what is read from disk first");
    await playAll(1, () => undefined);
  }
  for (const size of settings.sizes) await playAll(size, record);
  if (image) await playBoot({ host, pulumi, virsh }, workload, image, record);
}

/** terraform, if it is on PATH and the libvirt provider is where it can take it from. */
async function terraform(host: BenchHost): Promise<Contender[]> {
  const providers = bridgeProviders(process.env);
  const { exitCode } = await execa("terraform", ["version"], { reject: false });
  if (exitCode === 0 && providers) return [new TerraformContender(host, providers)];
  log(`without terraform: ${providers ? "it is not on PATH" : "the bridge has no provider for it"}`);
  return [];
}

/** Many small VMs on an image of nothing. */
async function engineWorkload(host: BenchHost): Promise<Workload> {
  const { uri, storageDir } = host.libvirt;
  const imageFile = path.join(benchDir, "blank.qcow2");
  await command("qemu-img", ["create", "-q", "-f", "qcow2", imageFile, "64M"], { cwd: benchDir });
  const sha512 = createHash("sha512")
    .update(await readFile(imageFile))
    .digest("hex");
  const { virtualization } = await takeInventory({ uri, storageDir, virtualization: "auto" });
  return {
    uri,
    storageDir,
    network: defaults.host.network,
    virtualization,
    image: { kind: "url", url: `file://${imageFile}`, sha512 },
    imageFile,
    sshKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJlbmNoYmVuY2hiZW5jaGJlbmNoYmVuY2hiZW5jaGJl bench"],
    memoryMiB: 128,
    cpus: 1,
    running: false,
  };
}

await runProgram(main);
