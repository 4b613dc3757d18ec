import { XMLBuilder, XMLParser } from "fast-xml-parser";

/** In a template: all that stood there before. */
export const everything = { "@_select": "@*|node()" };

const builder = new XMLBuilder({ ignoreAttributes: false, suppressEmptyNode: true, format: true });

/** An XSLT stylesheet that leaves all as it is but for what its templates match. */
export function stylesheet(templates: object[]): string {
  return builder.build({
    "xsl:stylesheet": {
      "@_version": "1.0",
      "@_xmlns:xsl": "http://www.w3.org/1999/XSL/Transform",
      "xsl:template": [{ "@_match": "@*|node()", "xsl:copy": { "xsl:apply-templates": everything } }, ...templates],
    },
  });
}

/** A text in one of a stylesheet's attributes: there braces are expressions; doubled they stand for themselves. */
export const literal = (text: string) => text.replace(/[{}]/g, "$&$&");

/** An element as it stands in a document, with its attributes and, under its name, what is in it. */
type Node = Record<string, unknown>;

/** All that stands in a stylesheet, in its order, comments and blanks too: it may be one that somebody has changed. */
const asItStands = {
  ignoreAttributes: false,
  attributeNamePrefix: "",
  preserveOrder: true,
  commentPropName: "#comment",
  cdataPropName: "#cdata",
  htmlEntities: true,
} as const;
const parser = new XMLParser({ ...asItStands, trimValues: false, parseTagValue: false, parseAttributeValue: false });
const rebuilder = new XMLBuilder({ ...asItStands, suppressEmptyNode: true });

/**
 * A stylesheet with values in the attributes that hold nothing but a placeholder. They are put into its elements, not into its
 * text, so that a value stays one value whatever is in it.
 *
 * @param values by placeholder
 */
export function withValues(sheet: string, values: Record<string, string>): string {
  const fill = (nodes: Node[]): Node[] =>
    nodes.map((node) =>
      Object.fromEntries(
        Object.entries(node).map(([key, inner]) => [
          key,
          key === attributesKey ? filled(inner as Node, values) : Array.isArray(inner) ? fill(inner as Node[]) : inner,
        ]),
      ),
    );
  return rebuilder.build(fill(parser.parse(sheet) as Node[]));
}

/** Where the parser has an element's attributes. */
const attributesKey = ":@";

function filled(attributes: Node, values: Record<string, string>): Node {
  const value = (text: unknown) => {
    const found = typeof text === "string" && Object.hasOwn(values, text) ? values[text] : undefined;
    return found === undefined ? text : literal(found);
  };
  return Object.fromEntries(Object.entries(attributes).map(([name, text]) => [name, value(text)]));
}

/** The same stylesheet with one more template, whatever stands in it already. */
export function withTemplate(xslt: string, template: object): string {
  const childrenOf = (nodes: Node[]) =>
    nodes.find((node) => "xsl:stylesheet" in node)?.["xsl:stylesheet"] as Node[] | undefined;
  const all = parser.parse(xslt) as Node[];
  const added = childrenOf(parser.parse(stylesheet([template])) as Node[])?.findLast((node) => "xsl:template" in node);
  const children = childrenOf(all);
  if (!added || !children) throw new Error(`not an XSLT stylesheet: ${xslt.slice(0, 80)}`);
  children.push(added);
  return rebuilder.build(all);
}

/**
 * The same stylesheet with one more element in each of its elements of a name.
 *
 * @param match only in templates for what this matches
 */
export function withChild(xslt: string, parent: string, element: object, match?: string): string {
  const added = parser.parse(builder.build(element)) as Node[];
  const add = (nodes: Node[], isWithin: boolean): Node[] =>
    nodes.map((node) => {
      const isIn = isWithin || (node[attributesKey] as Node | undefined)?.match === match;
      return Object.fromEntries(
        Object.entries(node).map(([key, inner]) => [
          key,
          Array.isArray(inner) ? [...add(inner as Node[], isIn), ...(key === parent && isIn ? added : [])] : inner,
        ]),
      );
    });
  return rebuilder.build(add(parser.parse(xslt) as Node[], match === undefined));
}
