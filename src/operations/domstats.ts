/** A VM as `virsh domstats` tells of it, without asking the guest. Sizes in bytes. */
export interface DomainStats {
  /** The domain's name. */
  name: string;
  state: DomainState;
  memory: number;
  cpus: number;
  disks: DiskStats[];
}

export interface DiskStats {
  /** What it is called in the guest, where the host says. @example "vdb" */
  target?: string;
  /** On the host. */
  path: string;
  /** What the guest sees. */
  size: number;
  /** What it takes up on the host. */
  used: number;
}

/** As libvirt names them; a guest that has suspended itself is `suspended`, one on the way between two states `other`. */
export type DomainState = "running" | "paused" | "shut off" | "crashed" | "suspended" | "other";

/** virDomainState: https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState */
const states: Record<string, DomainState> = { 1: "running", 3: "paused", 5: "shut off", 6: "crashed", 7: "suspended" };

/**
 * The one command that tells all of all domains of a host, in a tenth of the time that their XML takes. Of one that is
 * being saved, or otherwise busy, it tells what libvirt knows by itself, where it would wait for that to end.
 */
export const domstatsCommand = ["domstats", "--nowait", "--state", "--balloon", "--vcpu", "--block"];

/** Reads what that command prints: a block of `key=value` lines a domain. */
export function parseDomstats(output: string): DomainStats[] {
  return output
    .split(/\n\s*\n/)
    .filter((block) => block.includes("Domain:"))
    .map(parseBlock);
}

function parseBlock(block: string): DomainStats {
  const facts = new Map(
    [...block.matchAll(/^\s+([\w.]+)=(.*)$/gm)].map(([, key = "", value = ""]) => [key, value] as const),
  );
  const number = (key: string) => Number(facts.get(key) ?? 0);
  const state = states[number("state.state")] ?? "other";
  // Of a guest that runs, `allocation` is how far QEMU has written, and what a disk takes up is `physical`.
  const used = state === "shut off" ? "allocation" : "physical";
  const disks = Array.from({ length: number("block.count") }, (_, i) => ({
    ...(facts.get(`block.${i}.name`) ? { target: facts.get(`block.${i}.name`) as string } : {}),
    path: facts.get(`block.${i}.path`) ?? "",
    size: number(`block.${i}.capacity`),
    used: number(`block.${i}.${used}`),
  }));
  return {
    name: /Domain: '(.*)'/.exec(block)?.[1] ?? "",
    state,
    memory: number("balloon.maximum") * 1024,
    cpus: number("vcpu.maximum"),
    disks,
  };
}
