import type { Firmware } from "../src/config/settings.ts";
import {
  adoptedNamespace,
  type DomainMarks,
  dataNamespace,
  definitionNamespace,
  startNamespace,
  tailnetNamespace,
  yesOrNo,
} from "../src/libvirt/libvirt-xml.ts";
import {
  elementsMade,
  everything,
  literal,
  stylesheet,
  withChild,
  withMade,
  withTemplate,
  withValues,
} from "./stylesheet.ts";

/** A disk as it stands in the domain's XML: `target` is the device name in the guest (vda, vdb, …). */
export interface DomainDisk {
  target: string;
  /** Absolute path of the volume's file on the host. */
  file: string;
  format: "qcow2" | "raw";
  serial: string;
  readonly?: boolean;
}

/** What the provider's own arguments cannot say about a domain. */
export interface DomainDetails {
  /** The domain's UUID; defining a domain again under the same one changes it in place. */
  uuid: string;
  disks: DomainDisk[];
  firmware: Firmware;
  /** Absolute path on the host of the file that keeps what the guest's serial console printed. */
  consoleLog: string;
}

/** What stands in a stylesheet for the marks, which depend on all the rest of the definition. */
const placeholders = {
  definition: "@definition@",
  instance: "@instance@",
  root: "@root@",
  keepData: "@keep@",
  starting: "@starting@",
  id: "@id@",
  nodeKey: "@node@",
} as const;

/** All that a domain is marked with; `tailnet` only once it has joined one, `adopted` only with a disk bigger than asked for. */
export type Marks = Required<Omit<DomainMarks, "tailnet" | "adopted">> & Pick<DomainMarks, "tailnet" | "adopted">;

/** The same stylesheet with the marks that the domain will bear. */
export function withMarks(xslt: string, marks: Marks): string {
  const { definition, instance, root, keepData, starting, tailnet, adopted } = marks;
  const marked = withValues(xslt, {
    [placeholders.definition]: definition,
    [placeholders.instance]: instance,
    [placeholders.root]: root,
    [placeholders.keepData]: yesOrNo(keepData),
    [placeholders.starting]: yesOrNo(starting),
    [placeholders.id]: tailnet?.id ?? "",
    [placeholders.nodeKey]: tailnet?.nodeKey ?? "",
  });
  // Added here, since a change of the stylesheet itself would redefine every VM that is there.
  const { size, asked } = adopted ?? {};
  return adopted
    ? withChild(marked, "metadata", { adopted: { "@_xmlns": adoptedNamespace, "@_size": size, "@_asked": asked } })
    : marked;
}

/** A disk's element; `type='file'` because AppArmor's helper cannot follow `type='volume'`. */
function diskElement(disk: DomainDisk) {
  const driver = { "@_name": "qemu", "@_type": disk.format, ...(disk.readonly ? {} : { "@_discard": "unmap" }) };
  return {
    "@_type": "file",
    "@_device": "disk",
    driver,
    source: { "@_file": literal(disk.file) },
    target: { "@_dev": disk.target, "@_bus": "virtio" },
    serial: disk.serial,
    ...(disk.readonly ? { readonly: "" } : {}),
  };
}

const diskMatch = (target: string) => `/domain/devices/disk[target/@dev='${target}']`;

/** libvirt chooses the firmware, and keeps its variables with the domain. */
const efi = {
  "@_match": "/domain/os",
  "xsl:copy": {
    "xsl:attribute": { "@_name": "firmware", "#text": "efi" },
    "xsl:apply-templates": everything,
  },
};

/**
 * The XSLT stylesheet that the libvirt provider applies to a domain's XML before it defines it: disks by file and with
 * serials, no graphics, a serial console that is also kept in a file, a UUID and, once {@link withMarks} has put them in,
 * marks. A changed stylesheet redefines the domain (the guest restarts); it never touches a disk.
 *
 * @example domainXslt({ uuid: domainUuid("app"), firmware: "bios", disks: [{ target: "vda", file: "/vms/app/disk.qcow2", format: "qcow2", serial: "a1" }], consoleLog: "/vms/app/console.log" })
 */
export function domainXslt(details: DomainDetails): string {
  return stylesheet([
    {
      "@_match": "/domain",
      "xsl:copy": {
        "xsl:apply-templates": everything,
        uuid: details.uuid,
        metadata: {
          definition: {
            "@_xmlns": definitionNamespace,
            "@_digest": placeholders.definition,
            "@_instance": placeholders.instance,
            "@_root": placeholders.root,
          },
          data: { "@_xmlns": dataNamespace, "@_keep": placeholders.keepData },
          start: { "@_xmlns": startNamespace, "@_pending": placeholders.starting },
          tailnet: { "@_xmlns": tailnetNamespace, "@_id": placeholders.id, "@_node": placeholders.nodeKey },
        },
      },
    },
    { "@_match": "/domain/devices/graphics" },
    ...(details.firmware === "uefi" ? [efi] : []),
    ...details.disks.map((disk) => ({
      "@_match": diskMatch(disk.target),
      disk: diskElement(disk),
    })),
    {
      "@_match": "/domain/devices",
      "xsl:copy": {
        "xsl:apply-templates": everything,
        serial: {
          "@_type": "pty",
          log: { "@_file": literal(details.consoleLog), "@_append": "on" },
          target: { "@_port": "0" },
        },
        console: { "@_type": "pty", target: { "@_type": "serial", "@_port": "0" } },
      },
    },
  ]);
}

/**
 * The same stylesheet, by which a disk has no backing file, whatever its header says: QEMU's user can write that header, and libvirt
 * would give it the file that is named there. It is no part of the definition's digest, as in {@link withFilter}.
 */
export const standingAlone = (xslt: string, target: string) =>
  withChild(xslt, "disk", { backingStore: "" }, diskMatch(target));

/**
 * The same stylesheet, by which the VM has no memory balloon; libvirt adds one where nothing is said of it. Nothing here uses it, and by
 * it a guest writes a number into libvirt's status that libvirt cannot read back: from its next start on it takes that VM for off. It is
 * no part of the definition's digest, as in {@link withFilter}: a VM that is there loses it with its next redefinition. A transform's own
 * stays: libvirt refuses a second one.
 */
export const withoutBalloon = (xslt: string) =>
  elementsMade(xslt, "memballoon") > 0
    ? xslt
    : withMade(xslt, { match: "/domain/devices", name: "devices", element: { memballoon: { "@_model": "none" } } });

/**
 * The same stylesheet, by which the interface of a MAC address, if it is on a network of libvirt's, has a network filter. It is no
 * part of the definition's digest: a VM that is there gets its filter while it runs.
 */
export function withFilter(xslt: string, mac: string, filter: string): string {
  const spellings = [mac.toUpperCase(), mac].map((address) => `mac/@address='${address}'`);
  return withTemplate(xslt, {
    "@_match": `/domain/devices/interface[@type='network'][${spellings.join(" or ")}]`,
    "xsl:copy": { "xsl:apply-templates": everything, filterref: { "@_filter": filter } },
  });
}
