import { log } from "../src/core/progress.ts";
import type { Contender } from "./contender.ts";
import type { BenchHost } from "./host.ts";
import { type EngineTimes, PulumiContender } from "./pulumi.ts";
import { figure, type Timing } from "./report.ts";
import { vmNames, type Workload } from "./workload.ts";

/**
 * One contender, one number of VMs, on an empty host: makes them, finds nothing to do, lists them, makes one more, removes all.
 *
 * @param record takes each figure as soon as it is there
 */
export async function playRound(
  contender: Contender,
  host: BenchHost,
  workload: Workload,
  vms: number,
  record: (timing: Timing) => void,
): Promise<void> {
  const names = vmNames(vms);
  const oneMore = vmNames(vms + 1);
  const time = (step: string, action: () => Promise<void>) => timed({ step, vms, contender }, action, record);
  await contender.prepare(workload, oneMore);
  await time("up", () => contender.apply(names));
  await time("preview", () => contender.preview(names));
  await time("list", () => contender.list(names));
  await time("add-one", () => contender.apply(oneMore));
  await time("destroy", () => contender.destroy());
  await host.clear();
}

/** Times one step, and says on what an engine's time went. */
export async function timed(
  { step, vms, contender }: { step: string; vms: number; contender: Pick<Contender, "name"> },
  action: () => Promise<void>,
  record: (timing: Timing) => void,
): Promise<void> {
  if (contender instanceof PulumiContender) contender.times = undefined;
  const began = performance.now();
  await action();
  const seconds = (performance.now() - began) / 1000;
  const parts = contender instanceof PulumiContender && contender.times ? `: ${formatParts(contender.times)}` : "";
  log(`${step} ${vms} ${contender.name} ${figure(seconds)} s${parts}`);
  record({ step, vms, contender: contender.name, seconds });
}

function formatParts({ start, load, look, resources, end }: EngineTimes): string {
  const parts = {
    "until the program starts": start,
    "loading it": load,
    "look at the host": look,
    resources,
    end,
  };
  return Object.entries(parts)
    .map(([part, seconds]) => `${part} ${figure(seconds)}`)
    .join(", ");
}
