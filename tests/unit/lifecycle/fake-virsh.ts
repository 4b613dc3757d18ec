import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { headerLength } from "../../../src/images/qcow2.ts";
import type { BatchVirsh } from "../../../src/libvirt/virsh.ts";
import type { BatchAnswer } from "../../../src/libvirt/virsh-answers.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";

/** A domain of the fake. */
export interface FakeDomain {
  description: string;
  running: boolean;
  /** As vda, vdb and so on. */
  disks: string[];
  /** What it is defined with, where that is not what it runs with. */
  definedDisks?: string[];
  /** Whether its memory was saved when it was stopped. */
  saved?: boolean;
  /** Whether it notes that it is to be started. */
  starting?: boolean;
  /** As `domstate --reason` says it; by default that it runs, or is off. */
  state?: string;
  /** Whether it notes that its project disk stays; undefined: it notes nothing. */
  keepData?: boolean;
  /** What it notes of its definition. */
  definition?: string;
  /** Of the domain; another one than the project's own has to go before it is redefined. */
  uuid?: string;
}

/** As virsh says it, whatever was asked of what is not there. */
const gone = (what: "domain" | "pool" | "vol" | "nwfilter", name: string) =>
  new VirshError("fake", [name], undefined, `failed to get ${what} '${name}'`, true);

/**
 * A libvirt that only remembers: domains, network filters, pools with volumes by name. A double of `virsh` for what is removed and what is
 * kept, which is looked at afterwards; real ones are in the end-to-end tests.
 */
export class FakeVirsh implements BatchVirsh {
  readonly uri = "qemu:///system";
  readonly domains = new Map<string, FakeDomain>();
  readonly pools = new Map<
    string,
    Map<string, { path: string; backing?: string; capacity?: number; format?: string }>
  >();
  /** Names of pools that are stopped. */
  readonly stopped = new Set<string>();
  /** Names of pools whose folders libvirt cannot read. */
  readonly unreadable = new Set<string>();
  /** Names of network filters. */
  readonly filters = new Set<string>();
  /** All that changed anything. */
  readonly changes: string[] = [];
  /** How often it was asked, many commands in one go counting as one. */
  asked = 0;

  async run(...args: string[]): Promise<string> {
    this.asked++;
    const [verb = "", first = ""] = args;
    const pool = args.includes("--pool") ? (args[args.indexOf("--pool") + 1] ?? "") : "";
    switch (verb) {
      case "list":
        return this.list(args);
      case "desc":
        return this.domain(first).description;
      case "domstate":
        return this.domain(first).state ?? (this.domain(first).running ? "running" : "shut off");
      case "dumpxml":
        return this.xmlOf(first, args.includes("--inactive"));
      case "nwfilter-list":
        return [...this.filters].map((name) => ` 3b241101-e2bb-8255-8caf-4136c566a962   ${name}`).join("\n");
      case "net-list":
        return "";
      case "pool-list":
        return [...this.pools.keys()].filter((name) => args.includes("--all") || !this.stopped.has(name)).join("\n");
      case "pool-start":
      case "pool-refresh":
        if (!this.unreadable.has(first)) {
          if (verb === "pool-start") this.stopped.delete(first);
          return "";
        }
        // As libvirt does.
        this.stopped.add(first);
        throw new VirshError("fake", args, 1, "cannot open directory: Permission denied");
      case "pool-dumpxml":
        return `<pool><name>${first}</name><available>524288</available><target><path>/vms/${first.replace(/^project-/, "")}</path></target></pool>`;
      case "vol-list":
        return [...this.volumes(first)].map(([name, { path }]) => ` ${name}   ${path}`).join("\n");
      case "vol-dumpxml":
        return this.volumeXml(pool, first);
      case "vol-download":
        writeFileSync(args[2] ?? "", this.startOf(pool, first));
        return "";
    }
    this.requireThere(verb, first, pool);
    if (verb === "undefine" && this.domain(first).saved && !args.includes("--managed-save"))
      throw new VirshError("fake", args, 1, "Refusing to undefine while domain managed save image exists");
    this.changes.push([verb, ...args.slice(1)].join(" "));
    if (verb === "shutdown" || verb === "destroy") this.domain(first).running = false;
    if (verb === "resume") delete this.domain(first).state;
    if (verb === "undefine") this.domains.delete(first);
    if (verb === "nwfilter-undefine") this.filters.delete(first);
    if (verb === "vol-delete") this.volumes(pool).delete(first);
    if (verb === "pool-undefine") this.pools.delete(first);
    return "";
  }

  /** As libvirt does: nothing is taken away that is not there. */
  private requireThere(verb: string, name: string, pool: string): void {
    if (verb === "undefine") this.domain(name);
    if (verb === "nwfilter-undefine" && !this.filters.has(name)) throw gone("nwfilter", name);
    if (verb.startsWith("pool-")) this.volumes(name);
    if (verb === "vol-delete" && !this.volumes(pool).has(name)) throw gone("vol", name);
  }

  runPrivately(...args: string[]): Promise<string> {
    return this.run(...args);
  }

  ask = async (batch: string[][]): Promise<BatchAnswer[]> => {
    const asked = this.asked + 1;
    const answers: BatchAnswer[] = [];
    for (const command of batch) {
      const answer = { command, ok: true, output: "", error: "" };
      try {
        answers.push({ ...answer, output: await this.run(...command) });
      } catch (error) {
        if (!(error instanceof VirshError)) throw error;
        answers.push({ ...answer, ok: false, error: error.reason });
      }
    }
    this.asked = asked;
    return answers;
  };

  private list(args: string[]): string {
    const [all, saved] = ["--all", "--with-managed-save"].map((option) => args.includes(option));
    return [...this.domains]
      .filter(([, domain]) => (all || domain.running) && (!saved || domain.saved))
      .map(([name]) => name)
      .join("\n");
  }

  private domain(name: string): FakeDomain {
    const found = this.domains.get(name);
    if (!found) throw gone("domain", name);
    return found;
  }

  private volumes(pool: string) {
    const found = this.pools.get(pool);
    if (!found) throw gone("pool", pool);
    return found;
  }

  private xmlOf(name: string, inactive: boolean): string {
    const {
      disks: now,
      definedDisks = now,
      uuid = "u",
      keepData,
      starting,
      definition,
      description,
    } = this.domain(name);
    const disks = inactive ? definedDisks : now;
    const keep = keepData ? "yes" : "no";
    const mark = `<d:data xmlns:d="urn:project-vms:data" keep="${keep}"/>`;
    const start = starting ? `<s:start xmlns:s="urn:project-vms:start" pending="yes"/>` : "";
    const defined = definition ? `<e:definition xmlns:e="urn:project-vms:definition" digest="${definition}"/>` : "";
    const metadata = `<metadata>${keepData === undefined ? start : mark}${defined}</metadata>`;
    const elements = disks
      .map(
        (path, i) =>
          `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${path}'/><target dev='vd${"abcd"[i]}'/></disk>`,
      )
      .join("");
    return `<domain type='kvm'><name>${name}</name><uuid>${uuid}</uuid><description>${description}</description>${metadata}<memory>1</memory><vcpu>1</vcpu><devices>${elements}</devices></domain>`;
  }

  /** Of a volume's file, if there is one. */
  private startOf(pool: string, name: string): Buffer {
    const { path = "" } = this.volumes(pool).get(name) ?? {};
    return existsSync(path) ? readFileSync(path).subarray(0, headerLength) : Buffer.alloc(headerLength);
  }

  private volumeXml(pool: string, name: string): string {
    const { path, backing, capacity = 1, format = "qcow2" } = this.volumes(pool).get(name) ?? { path: "" };
    const store = backing ? `<backingStore><path>${backing}</path><format type="qcow2"/></backingStore>` : "";
    return `<volume><name>${name}</name><capacity>${capacity}</capacity><allocation>1</allocation><target><path>${path}</path><format type='${format}'/></target>${store}</volume>`;
  }
}
