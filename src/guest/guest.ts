import { withoutGivenSecrets } from "../core/given-secrets.ts";
import {
  type GuestAddress,
  type GuestText,
  guestLog,
  guestText,
  type HostKey,
  isAddress,
  isGuestAddress,
} from "../core/guest-values.ts";
import { domainName, macAddress } from "../core/names.ts";
import { consoleLogOn } from "../libvirt/console-log.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { GuestAgent } from "./agent.ts";
import { cloudInitProblems, hostKeysIn } from "./answers.ts";
import { givenBy, networkOf } from "./guest-network.ts";
import { GuestRefusal, NoHostKeysYet } from "./guest-refusal.ts";
import { joinTailnet, leaveTailnet, type TailnetJoin, type TailnetNode } from "./tailnet-join.ts";

/** The stages that a script in the guest answers for: src/cloud-init/guest/check. */
export type GuestCheck = "disk" | "docker" | "nix" | "claude";

/** Where cloud-init puts that script. */
const checkScript = "/usr/local/lib/project-vm/check";

/** What the guest's log is taken from while its agent answers: the first boot's output, and errors of all services. */
const logCommand =
  "tail -n 15 /var/log/cloud-init-output.log; journalctl --boot --priority err --lines 10 --no-pager --output cat";

/**
 * Ends with cloud-init's report once it is done, or will not be. `cloud-init status --wait` alone asks systemd of five units four
 * times a second: on an emulated guest a tenth of all that a boot costs; and where its files tell of no error, it takes four
 * seconds to say so. https://docs.cloud-init.io/en/latest/howto/status.html
 */
const cloudInitCommand = `
waited=0
until [ -e /run/cloud-init/result.json ] || [ -e /run/cloud-init/disabled ]; do
  sleep 1
  waited=$((waited + 1))
  [ $((waited % 10)) -ne 0 ] || ! systemctl --quiet is-failed 'cloud-*.service' || break
done
if grep --quiet --line-regexp ' *"errors": \\[\\]' /run/cloud-init/result.json && ! grep --quiet ERROR /run/cloud-init/status.json; then
  echo '{"status": "done"}'
else
  exec /usr/bin/cloud-init status --wait --format json
fi`;

/** The exit code of what follows for a guest that is still booting. */
const stillBooting = 75;

/** Prints the host keys. That there are none is told apart only then: a guest that has some need not be asked how its boot goes. */
const hostKeysCommand = `cat /etc/ssh/ssh_host_*_key.pub | grep . || [ -e /run/cloud-init/result.json ] || [ -e /run/cloud-init/disabled ] || exit ${stillBooting}`;

/** A project's VM as its guest is seen from the host. */
export class Guest {
  /** The domain's name. */
  readonly name: string;
  private readonly agent: GuestAgent;

  private readonly virsh: Virsh;
  private readonly project: string;

  constructor(virsh: Virsh, project: string) {
    this.virsh = virsh;
    this.project = project;
    this.name = domainName(project);
    this.agent = new GuestAgent(virsh, this.name);
  }

  answers(): Promise<boolean> {
    return this.agent.answers();
  }

  /**
   * Waits until cloud-init is done. Its verdict is in its JSON, not in its exit code, which is 2 for "done, with
   * recoverable errors": https://docs.cloud-init.io/en/latest/explanation/return_codes.html
   *
   * @throws Error with cloud-init's errors, or when it has not ended in time
   */
  async cloudInitDone(limitSeconds: number): Promise<void> {
    const result = await this.agent.exec(["/bin/sh", "-c", cloudInitCommand], limitSeconds);
    const problems = cloudInitProblems(result.stdout, this.name);
    if (problems.length > 0) throw new Error(problems.join("; "));
  }

  /** @throws Error with the guest's own reason */
  async check(stage: GuestCheck, limitSeconds: number): Promise<void> {
    const result = await this.agent.exec([checkScript, stage], limitSeconds);
    if (result.exitCode !== 0)
      throw new Error(guestText(`${result.stdout}${result.stderr}`) || `exit code ${result.exitCode}`);
  }

  /** @throws Error with the guest's own reason */
  joinTailnet(tailnet: TailnetJoin, limitSeconds: number): Promise<TailnetNode> {
    return joinTailnet(this.agent, this.project, tailnet, limitSeconds);
  }

  /**
   * Has it leave the tailnet that it is in, if any. What lets it in is its device there: a guest that does not leave holds
   * nothing up, and is told of.
   *
   * @returns what became of it, to be told
   */
  leaveTailnet(): Promise<string> {
    return leaveTailnet(this.agent, 60).then(
      () => `${this.name}: left its tailnet; its device stays on the tailnet's list until it is removed there`,
      (error: Error) =>
        `${this.name}: did not leave its tailnet; it is out once its device is removed there. ${error.message}`,
    );
  }

  /**
   * The addresses of the interface that libvirt gave it, as far as its network can have given it those; not Docker's, not the
   * tailnet's. IPv4 first.
   *
   * @throws GuestRefusal for what is no address
   */
  async addresses(): Promise<GuestAddress[]> {
    const mac = macAddress(this.project);
    const found = (await this.agent.interfaces()).find((nic) => nic["hardware-address"]?.toLowerCase() === mac);
    const told = (found?.["ip-addresses"] ?? []).map((ip) => ip["ip-address"]);
    const wrong = told.find((address) => !isAddress(address));
    if (wrong !== undefined) {
      throw new GuestRefusal(this.name, "guest-network-get-interfaces ip-address", "must be an IP address", wrong);
    }
    const usable = told.filter(isGuestAddress);
    if (usable.length === 0) return [];
    const own = givenBy(await networkOf(this.virsh, this.project), this.project, usable);
    return own.sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
  }

  /**
   * The public host keys that its SSH server shows.
   *
   * @throws NoHostKeysYet where there is none while it boots
   * @throws GuestRefusal for what is no key, and where there is none though it has booted
   */
  async hostKeys(): Promise<HostKey[]> {
    const { exitCode, stdout } = await this.agent.exec(["/bin/sh", "-c", hostKeysCommand], 30);
    if (stdout.trim() === "" && exitCode === stillBooting) throw new NoHostKeysYet(this.name);
    return hostKeysIn(stdout, this.name);
  }

  /** The last lines of what the guest said, by its agent or, without one, by its console; empty when there is neither. */
  async log(): Promise<GuestText> {
    try {
      return guestLog((await this.agent.exec(["/bin/sh", "-c", logCommand], 20)).stdout);
    } catch {
      return guestLog(withoutGivenSecrets(await this.consoleLog().catch(() => "")));
    }
  }

  /** The last lines that the guest printed on its serial console. */
  async consoleLog(lines = 20): Promise<string> {
    const log = await consoleLogOn(this.virsh, this.name);
    const pieces: Buffer[] = [];
    for await (const piece of log?.last(lines) ?? []) pieces.push(piece);
    return Buffer.concat(pieces).toString("utf8").replaceAll("\r", "").trimEnd();
  }
}
