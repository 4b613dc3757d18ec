/** How long one contender took for one step. */
export interface Timing {
  /** What was done. One word: it stands in the lines that programs read. */
  step: string;
  /** How many VMs there were. */
  vms: number;
  /** Who did it. One word. */
  contender: string;
  seconds: number;
}

/** The contender that the others are references for. */
export const ours = "project-vms";

/**
 * One line a figure, for programs: `RATIO <case> <n> <our seconds> <reference> <its seconds> <ratio>`. Above 1 we are
 * slower.
 *
 * @example ratioLines(timings)[0] // "RATIO up 20 16.1 terraform 14.0 1.15"
 */
export function ratioLines(timings: readonly Timing[]): string[] {
  return timings.flatMap((reference) => {
    const own = ourTiming(timings, reference);
    if (own === undefined || own === reference) return [];
    const { step, vms, contender } = reference;
    const figures = [figure(own.seconds), contender, figure(reference.seconds), ratio(own, reference)];
    return [["RATIO", step, vms, ...figures].join(" ")];
  });
}

/**
 * All figures side by side, as a Markdown table: a row for each step at each number of VMs, in the order in which they
 * were first taken, a column for each contender; behind a reference's seconds, how many times as long we take.
 */
export function renderTable(timings: readonly Timing[]): string {
  const contenders = unique(timings.map(({ contender }) => contender));
  const rows = unique(timings.map(({ step, vms }) => `${step} ${vms}`)).map((key) => {
    const [step = "", vms = ""] = key.split(" ");
    const cells = contenders.map((contender) => {
      const timing = timings.find((one) => one.step === step && one.vms === Number(vms) && one.contender === contender);
      return timing ? cell(timings, timing) : "–";
    });
    return [step, vms, ...cells];
  });
  const header = ["case", "VMs", ...contenders.map((contender) => `${contender} [s]`)];
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) =>
    `| ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

function cell(timings: readonly Timing[], timing: Timing): string {
  const own = ourTiming(timings, timing);
  const seconds = figure(timing.seconds);
  return own === undefined || own === timing ? seconds : `${seconds} (×${ratio(own, timing)})`;
}

function ourTiming(timings: readonly Timing[], { step, vms }: Timing): Timing | undefined {
  return timings.find((one) => one.contender === ours && one.step === step && one.vms === vms);
}

/** Seconds to the tenth; below one to the hundredth, so that a short one does not become 0. */
export function figure(seconds: number): string {
  return seconds < 1 ? Math.max(seconds, 0.01).toFixed(2) : seconds.toFixed(1);
}

function ratio(own: Timing, reference: Timing): string {
  return (own.seconds / Math.max(reference.seconds, 0.01)).toFixed(2);
}

const unique = <T>(list: T[]): T[] => [...new Set(list)];
