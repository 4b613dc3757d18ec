import { type Stage, stages, type VmProgress } from "../src/core/records.ts";

/** These hold one after the other, those behind them side by side. */
const inOrder: readonly Stage[] = ["boot", "cloud-init", "disk", "network"];

/** What VMs are waited for, by what is reported of them. */
export class Waiting {
  private readonly left = new Map<string, Stage[]>();

  /** @returns whether it says only that something is still waited for */
  heard({ guest, stage, state }: VmProgress): boolean {
    const left = this.left.get(guest) ?? stages.filter((one) => one !== "tailnet");
    // Whether there is a tailnet to join is not known before.
    const waited = left.includes(stage) ? left : [...left, stage];
    this.left.set(guest, state === "waiting" ? waited : left.filter((one) => one !== stage));
    return state === "waiting";
  }

  /** @example "project-api: waiting for docker, nix, claude" */
  describe(): string | undefined {
    const waits = [...this.left].flatMap(([vm, left]) => {
      const [next] = left;
      if (next === undefined) return [];
      return `${vm}: waiting for ${(inOrder.includes(next) ? [next] : left).join(", ")}`;
    });
    return waits.join("; ") || undefined;
  }
}
