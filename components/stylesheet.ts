import { XMLBuilder } from "fast-xml-parser";

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
