import { XMLBuilder, XMLParser } from "fast-xml-parser";
import { attributesKey, buildXml, parseNodes, type XmlNode } from "./xml-nodes.ts";

/** Edits of what libvirt printed, to be handed back to it: all that is not named stays as it was. */

/** An element: attributes begin with `@`. */
type Element = { [key: string]: Element | Element[] | string };

const format = { ignoreAttributes: false, attributeNamePrefix: "@", suppressEmptyNode: true } as const;
const parser = new XMLParser({
  ...format,
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (name) => name === "interface",
});
const builder = new XMLBuilder(format);

/**
 * A domain's interface as it stands, with a network filter on it; undefined where no interface has that MAC address.
 *
 * @param xml what `virsh dumpxml` prints
 */
export function interfaceWithFilter(xml: string, mac: string, filter: string): string | undefined {
  const devices = parser.parse(xml).domain?.devices as { interface?: Element[] } | undefined;
  const nic = devices?.interface?.find((one) => (one.mac as Element)["@address"]?.toString().toLowerCase() === mac);
  return nic && builder.build({ interface: { ...nic, filterref: { "@filter": filter } } });
}

/**
 * The same network, whose bridge takes no part in the spanning tree protocol.
 *
 * @param xml what `virsh net-dumpxml` prints
 */
export function networkWithoutStp(xml: string): string {
  const network = parser.parse(xml).network as Element;
  const bridge = network.bridge as Element;
  return builder.build({ network: { ...network, bridge: { ...bridge, "@stp": "off" } } });
}

/**
 * The same domain without a memory balloon. Its other devices stay, in their order, and what others noted in it.
 *
 * @param xml what `virsh dumpxml --inactive --security-info` prints
 */
export function domainWithoutBalloon(xml: string): string {
  const nodes = parseNodes(xml);
  const inside = (among: XmlNode[] | undefined, name: string) =>
    among?.find((node) => name in node)?.[name] as XmlNode[] | undefined;
  const devices = inside(inside(nodes, "domain"), "devices");
  if (!devices) throw new Error(`not the XML of a libvirt domain: ${xml.slice(0, 80)}`);
  const others = devices.filter((node) => !("memballoon" in node));
  devices.splice(0, devices.length, ...others, { memballoon: [], [attributesKey]: { model: "none" } });
  return buildXml(nodes);
}
