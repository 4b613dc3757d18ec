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

/** A blank that is written as a reference: as itself, an attribute would have a space there. */
const blankReference = /&(#(?:0*(?:9|10|13)|x0*[9ad]);)/gi;
/** Stands for the `&` of one between parser and builder: no document may hold this character. */
const kept = "\uFFFE";

export const parseNodes = (xml: string) => parser.parse(xml.replace(blankReference, `${kept}$1`)) as XmlNode[];

export const buildXml = (nodes: XmlNode[]): string => builder.build(nodes).replaceAll(kept, "&");
