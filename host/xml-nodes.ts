import { XMLBuilder, XMLParser } from "fast-xml-parser";

/** An element as it stands in a document: under its name what is in it, and its attributes under {@link attributesKey}. */
export type XmlNode = Record<string, unknown>;

/** Where the parser has an element's attributes. */
export const attributesKey = ":@";

/** All that stands in a document, in its order, comments and blanks too: it may be one that others have changed. */
const asItStands = {
  ignoreAttributes: false,
  attributeNamePrefix: "",
  preserveOrder: true,
  commentPropName: "#comment",
  cdataPropName: "#cdata",
  htmlEntities: true,
} as const;
const parser = new XMLParser({ ...asItStands, trimValues: false, parseTagValue: false, parseAttributeValue: false });
const builder = new XMLBuilder({ ...asItStands, suppressEmptyNode: true });

export const parseNodes = (xml: string) => parser.parse(xml) as XmlNode[];

export const buildXml = (nodes: XmlNode[]): string => builder.build(nodes);
