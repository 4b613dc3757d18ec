import { XMLParser } from "fast-xml-parser";

/** The devices of a domain that people add or change by hand; the rest are libvirt's own business. */
export interface DomainDevices {
  disks: DiskDevice[];
  nics: NicDevice[];
  /** What else people add, by the name of its element, a channel's with what it carries. @example ["hostdev", "graphics"] */
  others: string[];
  /** The model of its memory balloon, if it has one. @example "virtio" */
  balloon?: string;
}

export interface DiskDevice {
  /** @example "vdb" */
  target: string;
  /** Its file, or `<pool>/<volume>`; empty for an empty drive and a disk on the network. */
  source: string;
  /** What its definition takes that for. @example "qcow2" */
  format: string;
  /** The files below it, as libvirt shows them of a guest that runs; empty: there is none, or it is not known. */
  chain: string[];
}

export interface NicDevice {
  mac: string;
  /** libvirt's word for what it is connected to. @example "network" */
  type: string;
  /** The network or the bridge that it is on. */
  on: string;
  /** Name of the network filter on it. */
  filter?: string;
}

/** An element as the parser gives it. */
type Element = { [key: string]: Element | Element[] | string | undefined };

/** Devices that libvirt adds to no domain by itself: https://libvirt.org/formatdomain.html#devices */
const addable = [
  "hostdev",
  "filesystem",
  "graphics",
  // Only beside graphics, which our definition has not.
  "video",
  "tpm",
  "sound",
  "redirdev",
  "smartcard",
  "parallel",
  "memory",
  "shmem",
  "vsock",
  "crypto",
  "iommu",
  "lease",
];

/** Devices of which libvirt adds some by itself, or our definition makes one: whether one is added by hand. */
const addedToo: Record<string, (device: Element, index: number) => boolean> = {
  watchdog: (device) => text(device, "@model") !== "itco", // which every q35 has
  panic: (device) => !["pseries", "s390"].includes(text(device, "@model")),
  input: (device) => text(device, "@bus") !== "ps2",
  serial: (_, index) => index > 0,
  rng: (_, index) => index > 0,
};

const agentChannel = "org.qemu.guest_agent.0";

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  isArray: (name) => ["disk", "interface", "channel", ...addable, ...Object.keys(addedToo)].includes(name),
});

/** Reads the devices in what `virsh dumpxml` prints. */
export function parseDevices(xml: string): DomainDevices {
  const domain = parser.parse(xml).domain as Element | undefined;
  if (domain === undefined) throw new Error(`not the XML of a libvirt domain: ${xml.slice(0, 80)}`);
  const devices = child(domain, "devices");
  const balloon = text(child(devices, "memballoon"), "@model");
  return {
    ...(balloon === "" || balloon === "none" ? {} : { balloon }),
    disks: all(devices, "disk").map((disk) => ({
      target: text(child(disk, "target"), "@dev"),
      source: sourceOf(child(disk, "source")),
      format: text(child(disk, "driver"), "@type"),
      chain: chainBelow(disk),
    })),
    nics: all(devices, "interface").map((nic) => {
      const source = child(nic, "source");
      const on = ["@network", "@bridge", "@dev"].map((key) => text(source, key)).find(Boolean) ?? "no network";
      const filter = text(child(nic, "filterref"), "@filter");
      const mac = text(child(nic, "mac"), "@address").toLowerCase();
      return { mac, type: text(nic, "@type"), on, ...(filter === "" ? {} : { filter }) };
    }),
    others: [
      ...addable.flatMap((name) => all(devices, name).map(() => name)),
      ...Object.entries(addedToo).flatMap(([name, isAdded]) =>
        all(devices, name)
          .filter(isAdded)
          .map(() => name),
      ),
      ...all(devices, "channel")
        .map((channel) => text(child(channel, "target"), "@name") || text(channel, "@type"))
        .filter((carries) => carries !== agentChannel)
        .map((carries) => `channel ${carries}`),
    ],
  };
}

function sourceOf(source: Element | undefined): string {
  const [pool, volume] = [text(source, "@pool"), text(source, "@volume")];
  if (pool !== "" && volume !== "") return `${pool}/${volume}`;
  return text(source, "@file") || text(source, "@dev") || text(source, "@dir");
}

/** Each layer holds the one below it. */
function chainBelow(layer: Element): string[] {
  const below = child(layer, "backingStore");
  if (below === undefined) return [];
  const source = sourceOf(child(below, "source"));
  return source === "" ? [] : [source, ...chainBelow(below)];
}

function child(node: Element | undefined, name: string): Element | undefined {
  const found = node?.[name];
  const first = Array.isArray(found) ? found[0] : found;
  return typeof first === "object" ? first : undefined;
}

function all(node: Element | undefined, name: string): Element[] {
  const found = node?.[name];
  return Array.isArray(found) ? found.filter((one) => typeof one === "object") : [];
}

function text(node: Element | undefined, name: string): string {
  const found = node?.[name];
  return typeof found === "string" ? found : "";
}
