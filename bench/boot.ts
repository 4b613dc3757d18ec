import { mkdir, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { log } from "../src/core/progress.ts";
import { Guest } from "../src/guest/guest.ts";
import { limits, type Readiness } from "../src/guest/ready.ts";
import type { Image } from "../src/images/image.ts";
import { virshFor } from "../src/libvirt/virsh.ts";
import { type BenchHost, benchDir } from "./host.ts";
import type { PulumiContender } from "./pulumi.ts";
import type { Timing } from "./report.ts";
import { timed } from "./round.ts";
import type { VirshContender } from "./virsh.ts";
import { vmNames, type Workload } from "./workload.ts";

const step = "ready";

/**
 * A real VM, added to a host that has network and base image: by our components until it is ready, and by virsh until
 * cloud-init is done. Both have the same image, figures and seed.
 */
export async function playBoot(
  { host, pulumi, virsh }: { host: BenchHost; pulumi: PulumiContender; virsh: VirshContender },
  engineWorkload: Workload,
  image: Image,
  record: (timing: Timing) => void,
): Promise<void> {
  await useImage(image);
  const workload: Workload = {
    ...engineWorkload,
    image: { kind: "build" },
    imageFile: image.file,
    memoryMiB: 2048,
    cpus: 2,
    running: true,
  };
  const vms = vmNames(1);
  await pulumi.prepare(workload);
  await timed({ step: "host", vms: 0, contender: pulumi }, () => pulumi.apply([]), ignore);
  await timed({ step, vms: 1, contender: pulumi }, () => pulumi.apply(vms), record);
  const [readiness] = await pulumi.output<Readiness[]>("readiness");
  log(`its stages: ${JSON.stringify(readiness?.stages)}`);
  await timed({ step: "destroy", vms: 1, contender: pulumi }, () => pulumi.destroy(), ignore);
  await host.clear();

  await virsh.prepare(workload, vms);
  await timed({ step: "host", vms: 0, contender: virsh }, () => virsh.apply([]), ignore);
  await timed(
    { step, vms: 1, contender: { name: "bare-boot" } },
    async () => {
      await virsh.apply(vms);
      await cloudInitDone(workload, vms[0] ?? "");
    },
    record,
  );
  await host.clear();
}

/** The bench's own cache, but with this machine's images in it. */
async function useImage(image: Image): Promise<void> {
  const images = path.join(benchDir, "cache", "project-vms", "images");
  await rm(images, { recursive: true, force: true });
  await mkdir(path.dirname(images), { recursive: true });
  await symlink(path.dirname(image.file), images);
}

/** As often asked as `ProjectVm` asks. */
async function cloudInitDone({ uri, virtualization }: Workload, vm: string): Promise<void> {
  const guest = new Guest(virshFor(uri), vm);
  const limit = limits[virtualization];
  const end = performance.now() + limit.boot * 1000;
  while (!(await guest.answers())) {
    if (performance.now() > end)
      throw new Error(`${guest.name}: the guest agent did not answer within ${limit.boot} s`);
    await delay(500);
  }
  await guest.cloudInitDone(limit["cloud-init"]);
}

const ignore = () => undefined;
