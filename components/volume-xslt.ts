import { everything, stylesheet } from "./stylesheet.ts";

/**
 * The XSLT stylesheet that the libvirt provider applies to a disk's XML before it makes the volume: qcow2 version 3.
 * libvirt's own default is version 2, in which a disk that has snapshots cannot grow and an overlay cannot give blocks
 * back. It is read when a volume is made; a change of it touches none that is there.
 * Source: https://www.qemu.org/docs/master/interop/qcow2.html
 */
export const qcow2Xslt = stylesheet([
  { "@_match": "/volume/target", "xsl:copy": { "xsl:apply-templates": everything, compat: "1.1" } },
]);
