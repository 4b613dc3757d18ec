import { randomBytes } from "node:crypto";
import { everything, stylesheet } from "./stylesheet.ts";

/** Its owner alone reads and writes a volume; QEMU's user does while libvirt has made it the owner. The provider says 0644. */
const closed = { "@_match": "/volume/target/permissions/mode", mode: "0600" };

/**
 * The XSLT stylesheet that the libvirt provider applies to a volume's XML before it makes the volume. It is read when a
 * volume is made; a change of it touches none that is there.
 */
export const closedXslt = stylesheet([closed]);

/**
 * The same for a disk, in qcow2's version 3. libvirt's own default is version 2, in which a disk that has snapshots cannot
 * grow and an overlay cannot give blocks back.
 * Source: https://www.qemu.org/docs/master/interop/qcow2.html
 */
export const qcow2Xslt = stylesheet([
  closed,
  { "@_match": "/volume/target", "xsl:copy": { "xsl:apply-templates": everything, compat: "1.1" } },
]);

/** A stylesheet that does the same and is another text each time. */
export const again = (xslt: string) => `${xslt}<!-- ${randomBytes(6).toString("hex")} -->\n`;
