import { UserError } from "../src/core/errors.ts";

/** What of the whole run is done. */
export interface BenchSettings {
  /** How many VMs each round has. */
  sizes: number[];
  /** Whether a real VM is booted. */
  boot: boolean;
}

const allSizes = "1,20,50";

/**
 * Reads BENCH_SIZES (numbers of VMs, by commas; empty for none) and BENCH_BOOT (`no` boots no VM).
 *
 * @throws UserError for what is neither
 * @example benchSettings({ BENCH_SIZES: "1,20", BENCH_BOOT: "no" }) // { sizes: [1, 20], boot: false }
 */
export function benchSettings(environment: NodeJS.ProcessEnv): BenchSettings {
  const { BENCH_SIZES: written = allSizes, BENCH_BOOT: boot = "yes" } = environment;
  const sizes = written
    .split(",")
    .filter((text) => text.trim() !== "")
    .map(Number);
  const issues = [
    ...(sizes.every((size) => Number.isInteger(size) && size >= 1 && size <= 200)
      ? []
      : [wrong("BENCH_SIZES", "must be numbers of VMs, from 1 to 200", written, `write e.g. BENCH_SIZES=${allSizes}`)]),
    ...(["yes", "no"].includes(boot)
      ? []
      : [wrong("BENCH_BOOT", "must be yes or no", boot, "write BENCH_BOOT=no to boot no VM")]),
  ];
  if (issues.length > 0) throw new UserError("The bench cannot be run so.", issues);
  return { sizes, boot: boot === "yes" };
}

const wrong = (path: string, rule: string, value: string, remedy: string) => ({ path, rule, value, remedy });
