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

/** An element and its children in their order, by its name. */
type Ordered = Record<string, unknown>;

const inOrder = { ignoreAttributes: false, preserveOrder: true, trimValues: false } as const;

/** The same stylesheet with one more template, whatever stands in it already. */
export function withTemplate(xslt: string, template: object): string {
  const read = (text: string) => new XMLParser(inOrder).parse(text) as Ordered[];
  const childrenOf = (nodes: Ordered[]) =>
    nodes.find((node) => "xsl:stylesheet" in node)?.["xsl:stylesheet"] as Ordered[] | undefined;
  const all = read(xslt);
  const added = childrenOf(read(stylesheet([template])))?.findLast((node) => "xsl:template" in node);
  const children = childrenOf(all);
  if (!added || !children) throw new Error(`not an XSLT stylesheet: ${xslt.slice(0, 80)}`);
  children.push(added);
  return new XMLBuilder({ ...inOrder, suppressEmptyNode: true }).build(all);
}
