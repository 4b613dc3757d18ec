import { readFileSync } from "node:fs";
import path from "node:path";
import type { Checkout } from "./checkout.ts";

/** What the agent answers with: see hostile-agent.py. Empty: as the real one would, but for the address. */
export type HostileMode = "" | "badutf8" | "null" | "huge" | "lie" | "escape" | "never" | "hugeexec" | "nothaw";

const program = path.join(import.meta.dirname, "hostile-agent.py");

/** A guest whose root has replaced its guest agent. It is steered over SSH, which does not go by the agent. */
export class HostileAgent {
  constructor(
    private readonly checkout: Checkout,
    private readonly project: string,
  ) {}

  /** Puts the hostile agent in the real one's place. */
  async install(): Promise<void> {
    await this.write("/run/hostile-agent.py", readFileSync(program, "utf8"));
    await this.asRoot(
      "systemctl stop qemu-guest-agent && systemd-run --unit=hostile-agent python3 /run/hostile-agent.py",
    );
  }

  /** Puts the real agent back. */
  async remove(): Promise<void> {
    await this.asRoot("systemctl stop hostile-agent; systemctl start qemu-guest-agent");
  }

  setMode(mode: HostileMode): Promise<void> {
    return this.write("/run/hostile-mode", mode);
  }

  /** Sets what it answers as the address of the guest's network interface. */
  setAddress(address: string): Promise<void> {
    return this.write("/run/hostile-address", address);
  }

  private async write(file: string, text: string): Promise<void> {
    await this.checkout.ssh(this.project, `sudo tee ${file} >/dev/null`, text);
  }

  private async asRoot(script: string): Promise<void> {
    await this.checkout.ssh(this.project, `sudo sh -c '${script}'`);
  }
}
