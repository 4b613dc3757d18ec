import { XMLBuilder } from "fast-xml-parser";
import { attributesKey, buildXml, parseNodes, type XmlNode } from "../src/libvirt/xml-nodes.ts";

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
    nodes.map((node) => node["xsl:stylesheet"] ?? node["xsl:transform"]).find(Boolean) as XmlNode[] | undefined;
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
      const isIn = isWithin || attributesOf(node).match === match;
      return Object.fromEntries(
        Object.entries(node).map(([key, inner]) => [
          key,
          Array.isArray(inner) ? [...add(inner as XmlNode[], isIn), ...(key === parent && isIn ? added : [])] : inner,
        ]),
      );
    });
  return buildXml(add(parseNodes(xslt), match === undefined));
}

/**
 * How many elements of a name a stylesheet makes: of choices the longest one, and of what it repeats one. A path or a comment that holds
 * the name is none.
 */
export function elementsMade(xslt: string, name: string): number {
  const made = (nodes: XmlNode[]): number => nodes.map(madeBy).reduce((sum, one) => sum + one, 0);
  const madeBy = (node: XmlNode): number => {
    const isOne = name in node || ("xsl:element" in node && attributesOf(node).name === name);
    const inside = Object.entries(node).map(([key, inner]) => {
      const nodes = Array.isArray(inner) ? (inner as XmlNode[]) : [];
      return key === "xsl:choose" ? Math.max(0, ...nodes.map(madeBy)) : made(nodes);
    });
    return inside.reduce((sum, one) => sum + one, isOne ? 1 : 0);
  };
  return made(parseNodes(xslt));
}

/** An element that is to stand in another one, of a `name`, which a stylesheet makes of what `match` finds. */
interface Made {
  match: string;
  name: string;
  element: object;
}

/** What a template's content may stand in and be the template's own still. */
const conditions = ["xsl:if", "xsl:choose", "xsl:when", "xsl:otherwise"];

/**
 * The same stylesheet with one more element in what it makes of a match, whether it has a template for that or not. A template that makes
 * it in another way than by `xsl:copy` or by its name is left as it is.
 */
export function withMade(xslt: string, { match, name, element }: Made): string {
  const all = parseNodes(xslt);
  const added = parseNodes(builder.build(element));
  const parents = templatesFor(all, name).flatMap((template) => ownElements(template, ["xsl:copy", name]));
  for (const parent of parents) parent.push(...added);
  if (parents.length > 0) return buildXml(all);
  // Before the template for all there is, and behind any that the stylesheet has for this.
  const copy = { "xsl:apply-templates": everything, ...element };
  return withTemplate(xslt, { "@_match": match, "@_priority": "-0.25", "xsl:copy": copy });
}

/** What is in the templates that match elements of a name. */
const templatesFor = (nodes: XmlNode[], name: string): XmlNode[][] =>
  nodes.flatMap((node) => {
    const patterns = String(attributesOf(node).match ?? "").split("|");
    const isFor = patterns.some((pattern) => pattern.trim().split("/").at(-1) === name);
    if ("xsl:template" in node) return isFor ? [node["xsl:template"] as XmlNode[]] : [];
    return Object.values(node).flatMap((inner) => (Array.isArray(inner) ? templatesFor(inner as XmlNode[], name) : []));
  });

/** What is in a template's own elements of these names, not in those within others. */
const ownElements = (nodes: XmlNode[], names: string[]): XmlNode[][] =>
  nodes.flatMap((node) =>
    Object.entries(node).flatMap(([key, inner]) => {
      if (names.includes(key)) return [inner as XmlNode[]];
      return conditions.includes(key) ? ownElements(inner as XmlNode[], names) : [];
    }),
  );

const attributesOf = (node: XmlNode) => (node[attributesKey] ?? {}) as XmlNode;
