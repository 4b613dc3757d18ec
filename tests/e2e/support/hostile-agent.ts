import { readFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { Guest } from "../../../src/guest/guest.ts";
import { virshFor } from "../../../src/libvirt/virsh.ts";
import type { Checkout } from "./checkout.ts";

/** What the agent answers with: see hostile-agent.py. Empty: as the real one would, but for the address. */
export type HostileMode =
  | ""
  | "badutf8"
  | "null"
  | "huge"
  | "large"
  | "lie"
  | "escape"
  | "never"
  | "largeexec"
  | "nothaw";

const program = path.join(import.meta.dirname, "hostile-agent.py");

/** Where it and what steers it are in the guest, over its restarts too. */
const folder = "/var/lib/hostile";

/** Has systemd run it in the real one's place. */
const unitFolder = "/etc/systemd/system/qemu-guest-agent.service.d";
const unit = `[Service]\nExecStart=\nExecStart=/usr/bin/python3 ${folder}/agent.py\n`;

/** A guest whose root has replaced its guest agent. It is steered over SSH, which does not go by the agent. */
export class HostileAgent {
  private readonly checkout: Checkout;
  private readonly project: string;

  constructor(checkout: Checkout, project: string) {
    this.checkout = checkout;
    this.project = project;
  }

  /** Puts the hostile agent in the real one's place, where it stays when the guest restarts. */
  async install(): Promise<void> {
    await this.asRoot(`mkdir -p ${folder} ${unitFolder}`);
    await this.write(`${folder}/agent.py`, readFileSync(program, "utf8"));
    await this.write(`${unitFolder}/hostile.conf`, unit);
    await this.asRoot("systemctl daemon-reload && systemctl restart qemu-guest-agent");
  }

  /** Puts the real agent back. */
  async remove(): Promise<void> {
    await this.asRoot(`rm -rf ${unitFolder} ${folder}; systemctl daemon-reload && systemctl restart qemu-guest-agent`);
    await this.untilItAnswers();
  }

  /** It restarts: after an answer that is no JSON, libvirt asks it nothing more until it opens its port again. */
  async setMode(mode: HostileMode): Promise<void> {
    await this.write(`${folder}/mode`, mode);
    await this.asRoot("systemctl restart qemu-guest-agent");
    await this.untilItAnswers();
  }

  /** Sets what it answers as the address of the guest's network interface. */
  setAddress(address: string): Promise<void> {
    return this.write(`${folder}/address`, address);
  }

  /** Whichever it is. */
  private async untilItAnswers(): Promise<void> {
    const guest = new Guest(virshFor(this.checkout.host.uri), this.project);
    await expect.poll(() => guest.answers(), { timeout: 120_000, interval: 500 }).toBe(true);
  }

  private async write(file: string, text: string): Promise<void> {
    await this.checkout.ssh(this.project, `sudo tee ${file} >/dev/null`, text);
  }

  private async asRoot(script: string): Promise<void> {
    await this.checkout.ssh(this.project, `sudo sh -c '${script}'`);
  }
}
