import { type Stage, stages } from "../guest/ready.ts";

/** These hold one after the other, those behind them side by side. */
const inOrder: readonly Stage[] = ["boot", "cloud-init", "disk", "network"];

/** What VMs are waited for, by the lines that tell of them. */
export class Waiting {
  private readonly left = new Map<string, Stage[]>();

  /**
   * Takes a line of progress.
   *
   * @returns whether it says only that something is still waited for
   */
  heard(line: string): boolean {
    const [, vm, stage] = /^(\S+): waiting for (\S+), [\d.]+ s$/.exec(line) ?? [];
    if (vm !== undefined && isStage(stage)) {
      // Whether there is a tailnet to join is not known before.
      const left = this.stagesLeft(vm);
      this.left.set(vm, left.includes(stage) ? left : [...left, stage]);
      return true;
    }
    const [, readyVm, held] = /^(\S+): (\S+) ok, [\d.]+ s$/.exec(line) ?? [];
    if (readyVm !== undefined && isStage(held)) {
      const left = this.stagesLeft(readyVm).filter((one) => one !== held);
      this.left.set(readyVm, left);
    }
    return false;
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

  private stagesLeft(vm: string): Stage[] {
    return this.left.get(vm) ?? stages.filter((stage) => stage !== "tailnet");
  }
}

const isStage = (word: string | undefined): word is Stage => (stages as readonly string[]).includes(word ?? "");
