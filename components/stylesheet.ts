import { XMLBuilder } from "fast-xml-parser";
import { attributesKey, buildXml, parseNodes, type XmlNode } from "../host/xml-nodes.ts";

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

/**
 * A stylesheet with values in the attributes that hold nothing but a placeholder. They are put into its elements, not into its
 * text, so that a value stays one value whatever is in it.
 *
 * @param values by placeholder
 */
export function withValues(sheet: string, values: Record<string, string>): string {
  const fill = (nodes: XmlNode[]): XmlNode[] =>
    nodes.map((node) =>
      Object.fromEntries(
        Object.entries(node).map(([key, inner]) => [
          key,
          key === attributesKey
            ? filled(inner as XmlNode, values)
            : Array.isArray(inner)
              ? fill(inner as XmlNode[])
              : inner,
        ]),
      ),
    );
  return buildXml(fill(parseNodes(sheet)));
}

function filled(attributes: XmlNode, values: Record<string, string>): XmlNode {
  const value = (text: unknown) => {
    const found = typeof text === "string" && Object.hasOwn(values, text) ? values[text] : undefined;
    return found === undefined ? text : literal(found);
  };
  return Object.fromEntries(Object.entries(attributes).map(([name, text]) => [name, value(text)]));
}

/** The same stylesheet with one more template, whatever stands in it already. */
export function withTemplate(xslt: string, template: object): string {
  const childrenOf = (nodes: XmlNode[]) =>
    nodes.find((node) => "xsl:stylesheet" in node)?.["xsl:stylesheet"] as XmlNode[] | undefined;
  const all = parseNodes(xslt);
  const added = childrenOf(parseNodes(stylesheet([template])))?.findLast((node) => "xsl:template" in node);
  const children = childrenOf(all);
  if (!added || !children) throw new Error(`not an XSLT stylesheet: ${xslt.slice(0, 80)}`);
  children.push(added);
  return buildXml(all);
}

/**
 * The same stylesheet with one more element in each of its elements of a name.
 *
 * @param match only in templates for what this matches
 */
export function withChild(xslt: string, parent: string, element: object, match?: string): string {
  const added = parseNodes(builder.build(element));
  const add = (nodes: XmlNode[], isWithin: boolean): XmlNode[] =>
    nodes.map((node) => {
      const isIn = isWithin || (node[attributesKey] as XmlNode | undefined)?.match === match;
      return Object.fromEntries(
        Object.entries(node).map(([key, inner]) => [
          key,
          Array.isArray(inner) ? [...add(inner as XmlNode[], isIn), ...(key === parent && isIn ? added : [])] : inner,
        ]),
      );
    });
  return buildXml(add(parseNodes(xslt), match === undefined));
}
