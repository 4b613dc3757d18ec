import { domainName, macAddress, poolName } from "../config/names.ts";
import { ConsoleLog } from "../host/console-log.ts";
import type { Virsh } from "../host/virsh.ts";
import { GuestAgent } from "./agent.ts";
import { joinTailnet, leaveTailnet, type TailnetJoin, type TailnetNode } from "./tailnet.ts";

/** The stages that a script in the guest answers for: cloud-init/guest/check. */
export type GuestCheck = "disk" | "docker" | "nix" | "claude";

/** Where cloud-init puts that script. */
const checkScript = "/usr/local/lib/project-vm/check";

/** What the guest's log is taken from while its agent answers: the first boot's output, and errors of all services. */
const logCommand =
  "tail -n 15 /var/log/cloud-init-output.log; journalctl --boot --priority err --lines 10 --no-pager --output cat";

/** A project's VM as its guest is seen from the host. */
export class Guest {
  /** The domain's name. */
  readonly name: string;
  private readonly agent: GuestAgent;

  constructor(
    private readonly virsh: Virsh,
    private readonly project: string,
  ) {
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
    const result = await this.agent.exec(["/usr/bin/cloud-init", "status", "--wait", "--format", "json"], limitSeconds);
    const problems = cloudInitProblems(result.stdout);
    if (problems.length > 0) throw new Error(problems.join("; "));
  }

  /** @throws Error with the guest's own reason */
  async check(stage: GuestCheck, limitSeconds: number): Promise<void> {
    const result = await this.agent.exec([checkScript, stage], limitSeconds);
    if (result.exitCode !== 0)
      throw new Error(`${result.stdout}${result.stderr}`.trim() || `exit code ${result.exitCode}`);
  }

  /** @throws Error with the guest's own reason */
  joinTailnet(tailnet: TailnetJoin, limitSeconds: number): Promise<TailnetNode> {
    return joinTailnet(this.agent, this.project, tailnet, limitSeconds);
  }

  /** Has it leave the tailnet that it is in, if any. */
  leaveTailnet(): Promise<void> {
    return leaveTailnet(this.agent, 60);
  }

  /** The addresses of the interface that libvirt gave it; not Docker's, not the tailnet's. IPv4 first. */
  async addresses(): Promise<string[]> {
    const mac = macAddress(this.project);
    const found = (await this.agent.interfaces()).find((nic) => nic["hardware-address"]?.toLowerCase() === mac);
    const usable = (found?.["ip-addresses"] ?? []).filter((ip) => !ip["ip-address"].startsWith("fe80:"));
    return usable
      .sort((a, b) => a["ip-address-type"].localeCompare(b["ip-address-type"]))
      .map((ip) => ip["ip-address"]);
  }

  /** The public host keys that its SSH server shows. */
  async hostKeys(): Promise<string[]> {
    const { stdout } = await this.agent.exec(["/bin/sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"], 30);
    // Without the comment: it names the machine, which known_hosts does not need.
    return stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split(" ").slice(0, 2).join(" "));
  }

  /** The last lines of what the guest said, by its agent or, without one, by its console; empty when there is neither. */
  async log(): Promise<string> {
    try {
      return (await this.agent.exec(["/bin/sh", "-c", logCommand], 20)).stdout;
    } catch {
      return this.consoleLog().catch(() => "");
    }
  }

  /** The last lines that the guest printed on its serial console. */
  async consoleLog(lines = 20): Promise<string> {
    const pieces: Buffer[] = [];
    for await (const piece of new ConsoleLog(this.virsh, poolName(this.project)).last(lines)) pieces.push(piece);
    return Buffer.concat(pieces).toString("utf8").replaceAll("\r", "").trimEnd();
  }
}

interface CloudInitStatus {
  status: string;
  errors?: string[];
  recoverable_errors?: Record<string, string[]>;
}

/** What cloud-init's own report says went wrong; empty when it finished well. Deprecations and the like are no errors. */
export function cloudInitProblems(json: string): string[] {
  let report: CloudInitStatus;
  try {
    report = JSON.parse(json) as CloudInitStatus;
  } catch {
    return [`cloud-init gave no report but ${JSON.stringify(json.slice(0, 200))}`];
  }
  const errors = [...(report.errors ?? []), ...(report.recoverable_errors?.ERROR ?? [])];
  if (report.status === "disabled") return ["cloud-init is disabled: it found no seed"];
  if (report.status !== "done" && errors.length === 0) return [`cloud-init's status is ${report.status}`];
  return errors;
}
