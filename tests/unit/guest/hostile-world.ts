import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "vitest";
import { domainXslt, withMarks } from "../../../components/domain-xslt.ts";
import { type SshFiles, sshFiles } from "../../../src/checkout/ssh-config.ts";
import { macAddress } from "../../../src/core/names.ts";
import { capped } from "../../../src/guest/capped-output.ts";
import { Guest } from "../../../src/guest/guest.ts";
import { type Limits, limits, type Readiness, waitUntilReady } from "../../../src/guest/ready.ts";
import { markTailnet } from "../../../src/libvirt/marks.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { aHostKey, aNode, aTailnetAddress } from "./samples.ts";

/** What would act on a terminal, or deceive who reads it. */
export const acting = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;

/** What a guest answers in the whole of its way to readiness; a test puts one hostile value in one place. */
export interface Answers {
  ping: unknown;
  /** In place of a program's number. */
  pid?: unknown;
  /** Of every program's end, over what the program itself said. */
  status: Record<string, unknown>;
  interfaces: unknown;
  cloudInit: unknown;
  check: { exitcode: number; stdout: unknown };
  hostKeys: unknown;
  log: unknown;
  console: unknown;
  tailscale: unknown;
  tailnetState: unknown;
  join: unknown;
  leases: string;
  /** In place of all answers to a question, as it is. */
  raw: Record<string, string>;
  /** What the agent gives as an error, to a question, to being told to `join`, or to show its `log`. */
  errors: Record<string, unknown>;
}

export const self = (change: object = {}) => ({
  Self: {
    ID: aNode("n1").id,
    PublicKey: aNode(1).nodeKey,
    DNSName: "project-app.tail1234.ts.net.",
    TailscaleIPs: [aTailnetAddress()],
    Tags: ["tag:project-vm"],
    ...change,
  },
});

export const nic = (change: object = {}) => ({
  name: "enp1s0",
  "hardware-address": macAddress("app"),
  "ip-addresses": [{ "ip-address": "10.77.0.5", "ip-address-type": "ipv4" }],
  ...change,
});

export const lease = (mac: string, address: string, rest = "host   01:02") =>
  ` 2026-11-25 18:00:00   ${mac}   ipv4       ${address}/24   ${rest}`;

export const well = (): Answers => ({
  ping: {},
  status: {},
  interfaces: [nic()],
  cloudInit: { status: "done", errors: [], recoverable_errors: {} },
  check: { exitcode: 0, stdout: "" },
  hostKeys: aHostKey(),
  log: "all is well",
  console: undefined,
  tailscale: self(),
  tailnetState: "Running",
  join: "",
  leases: lease(macAddress("db"), "10.77.0.9"),
  raw: {},
  errors: {},
});

/** Of the answers that all verbs get in the same way, each with a hostile value in its place. */
export const ofAnyProgram: Record<string, (value: unknown) => Partial<Answers>> = {
  "an answer to ping": (ping) => ({ ping }),
  "a program's pid": (pid) => ({ pid }),
  "its exit code": (exitcode) => ({ status: { exitcode } }),
  "its output": (data) => ({ status: { "out-data": data } }),
  "its errors": (data) => ({ status: { "err-data": data } }),
  "an agent's error": (error) => ({ errors: { "guest-exec": error } }),
};

/** A line of ours about a guest, with what the guest answered in it. */
export function expectHarmlessText(text: string, name: string): void {
  expect(text.match(acting)?.[0], name).toBeUndefined();
  expect(asShown(text), name).not.toMatch(/^ *READY/m);
  expect(text.length, name).toBeLessThan(20_000);
}

/** How wide a terminal may be, from the narrowest that is usual. */
const terminals = Array.from({ length: 21 }, (_, i) => 80 + i);

/** As terminals show it, by itself or behind the four blanks of Pulumi's: they break lines that are too long. */
function asShown(text: string): string {
  const indented = text.replaceAll(/^/gm, "    ");
  return terminals.flatMap((columns) => [text, indented].map((one) => folded(one, columns))).join("\n");
}

function folded(text: string, most: number): string {
  let [shown, column] = ["", 0];
  for (const character of text) {
    const columns = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/.test(character)
      ? 2
      : 1;
    if (column + columns > most) [shown, column] = [`${shown}\n`, 0];
    shown += character;
    column = character === "\n" ? 0 : column + columns;
  }
  return shown;
}

export const text = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** The arguments of `guest-exec` or of `guest-exec-status`. */
interface Asked {
  path?: string;
  arg?: string[];
  pid?: number;
}

/** How many of a program's words are of what runs it, but for the first. */
const ownWords = capped(["program"]).length - 2;

/** What some of the scripts that a guest runs are told by. */
const ownScripts: Record<string, string> = { join: "tailscale up", log: "journalctl --boot --priority" };

/** A libvirt with one VM on it, whose guest answers so. It notes what it is asked. */
export class HostileHost implements Virsh {
  readonly asked: string[][] = [];
  readonly uri = "qemu:///system";
  /** Programs that have ended, by their number. */
  private readonly ended: { exitcode: number; stdout: unknown }[] = [];
  /** Of the serial console, where it has printed anything. */
  private readonly serial: string = "";

  private readonly answers: Answers;

  constructor(answers: Answers) {
    this.answers = answers;
    if (answers.console === undefined) return;
    const log = path.join(mkdtempSync(path.join(tmpdir(), "console-")), "console.log");
    writeFileSync(log, text(answers.console));
    this.serial = `<serial type='pty'><log file='${log}' append='on'/></serial>`;
  }

  runPrivately(...args: string[]): Promise<string> {
    return this.run(...args);
  }

  async run(...args: string[]): Promise<string> {
    this.asked.push(args);
    const [verb = "", first = "", request = ""] = args;
    switch (verb) {
      case "qemu-agent-command":
        return this.agent(JSON.parse(request));
      case "dumpxml":
        return `<domain><name>project-app</name><devices><interface type='network'><source network='project-vms'/></interface>${this.serial}</devices></domain>`;
      case "net-dumpxml":
        return "<network><name>project-vms</name><ip address='10.77.0.1' netmask='255.255.255.0'/></network>";
      case "net-dhcp-leases":
        return this.answers.leases;
      case "list":
        return "project-app";
      case "domstate":
        return "running";
      case "vol-dumpxml":
        return "<volume><name>disk</name><key>/vms/app/disk</key><capacity>1</capacity><target><path>/vms/app/disk</path></target></volume>";
      case "metadata":
      case "blockresize":
      case "pool-refresh":
        return "";
      default:
        throw new VirshError("fake", args, undefined, `unexpected: ${verb} ${first}`, true);
    }
  }

  private agent({ execute, arguments: asked }: { execute: string; arguments?: Asked }): string {
    const { raw, errors } = this.answers;
    if (execute in raw) return raw[execute] ?? "";
    const script = asked?.arg?.join(" ") ?? "";
    const isMeant = (key: string) => key === execute || (key in ownScripts && script.includes(ownScripts[key] ?? ""));
    const failing = Object.keys(errors).find(isMeant);
    // As libvirt makes an agent's error one of its own.
    if (failing !== undefined)
      throw new VirshError("fake", ["qemu-agent-command"], undefined, `internal error: ${text(errors[failing])}`, true);
    return JSON.stringify({ return: this.answerTo(execute, asked) });
  }

  private answerTo(execute: string, asked: Asked | undefined): unknown {
    const { ping, status, interfaces } = this.answers;
    if (execute === "guest-ping") return ping;
    if (execute === "guest-network-get-interfaces") return interfaces;
    if (execute === "guest-exec") {
      const number = this.ended.push(this.programEnd(asked?.arg?.slice(ownWords) ?? [])) - 1;
      return { pid: "pid" in this.answers ? this.answers.pid : number };
    }
    const { exitcode, stdout } = this.ended[asked?.pid ?? 0] ?? { exitcode: 0, stdout: "" };
    return { exited: true, exitcode, "out-data": Buffer.from(text(stdout)).toString("base64"), ...status };
  }

  private programEnd([path = "", ...arg]: string[]): { exitcode: number; stdout: unknown } {
    const { cloudInit, check, hostKeys, log, tailscale, tailnetState, join } = this.answers;
    const script = arg.join(" ");
    if (script.includes("cloud-init status")) return { exitcode: 0, stdout: cloudInit };
    if (path.endsWith("check") || script.includes("resize2fs")) return check;
    if (script.includes("ssh_host_")) return { exitcode: 0, stdout: hostKeys };
    if (script.includes("tailscale up")) return { exitcode: 1, stdout: join };
    if (script.includes('systemctl "$1" tailscaled')) return { exitcode: 0, stdout: tailnetState };
    if (script.includes("tailscale status --json --peers=false") && arg.length === 2)
      return { exitcode: 0, stdout: tailscale };
    return { exitcode: 0, stdout: log };
  }
}

/** All that came of a guest's answers: what was written, asked of libvirt, and printed. */
export interface Outcome {
  error: Error | undefined;
  printed: string[];
  asked: string[][];
  readiness: Readiness | undefined;
  files: SshFiles | undefined;
  xslt: string | undefined;
}

const short: Limits = { ...limits.kvm, boot: 0.2, network: 0.2 };

export const details = {
  uuid: "3b241101-e2bb-8255-8caf-4136c566a962",
  firmware: "bios" as const,
  disks: [{ target: "vda", file: "/vms/app/disk.qcow2", format: "qcow2" as const, serial: "root-1" }],
  consoleLog: "/vms/app/console.log",
};

/** What an update does with a VM's guest, as far as the guest has a say in it. */
export async function wayToReadiness(answers: Answers, knownHosts: string): Promise<Outcome> {
  const host = new HostileHost(answers);
  const printed: string[] = [];
  const guest = new Guest(host, "app");
  const keyFile = path.join(path.dirname(knownHosts), "key");
  writeFileSync(keyFile, "tskey-auth-x", { mode: 0o600 });
  const key = { description: "", tag: "tag:project-vm", reusable: false, keyExpiry: 3600, keyFile };
  const join = { anew: false, domain: "tail1234.ts.net", key };
  const outcome: Outcome = {
    error: undefined,
    printed,
    asked: host.asked,
    readiness: undefined,
    files: undefined,
    xslt: undefined,
  };
  try {
    const readiness = await waitUntilReady(guest, short, (line) => printed.push(line), join);
    outcome.readiness = readiness;
    if (readiness.tailnet) await markTailnet(host, guest.name, readiness.tailnet);
    const target = { name: "app", ...readiness, tailnetName: readiness.tailnet?.name };
    outcome.files = sshFiles([target], { proxyCommand: "nsenter --net=/run/x nc %h %p" }, knownHosts);
    const { tailnet } = readiness;
    const marks = { definition: "d1", instance: "i1", root: "r1", keepData: true, starting: false };
    outcome.xslt = withMarks(domainXslt(details), { ...marks, ...(tailnet ? { tailnet } : {}) });
  } catch (error) {
    outcome.error = error as Error;
  }
  return outcome;
}
