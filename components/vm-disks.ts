import { pathToFileURL } from "node:url";
import type * as command from "@pulumi/command";
import * as libvirt from "@pulumi/libvirt";
import { metaData } from "../src/cloud-init/meta-data.ts";
import { seedIso } from "../src/cloud-init/seed-iso.ts";
import { userData } from "../src/cloud-init/user-data.ts";
import { diskSerial, hostName } from "../src/core/names.ts";
import { rootDigest } from "../src/lifecycle/definition.ts";
import { hasLostRoot, isLost, wantsNewRoot } from "../src/lifecycle/plan.ts";
import type { Children, VmContext } from "./vm-context.ts";
import { again, closedXslt, qcow2Xslt } from "./volume-xslt.ts";

/**
 * What leaves a volume as it is, or has it recreated because it is gone. The engine takes the state's word that it is there, so
 * another stylesheet, which is ignored otherwise and by the next update, has it replaced. Nothing is removed for that, and the
 * provider overwrites no disk that is there after all.
 */
function leftOrRecreated(isGone: boolean, xslt: string, ignoreChanges: string[]) {
  return isGone
    ? { xml: { xslt: again(xslt) }, opts: { deleteBeforeReplace: false } }
    : { xml: { xslt }, opts: { ignoreChanges } };
}

/** A VM keeps the image that it was made from until its root is recreated on purpose. */
export function createRootDisk(
  children: Children,
  { host, settings, image, found }: VmContext,
  pool: libvirt.Pool,
  teardown: command.local.Command,
) {
  const { xml, opts } = leftOrRecreated(isLost(found, "disk.qcow2"), qcow2Xslt, ["baseVolumeId", "size", "xml"]);
  return children.create(
    "rootDisk",
    libvirt.Volume,
    {
      name: "disk.qcow2",
      pool: pool.name,
      format: "qcow2",
      baseVolumeId: image.published.path,
      size: settings.rootDisk,
      xml,
    },
    {
      ...opts,
      provider: host.provider,
      retainOnDelete: true,
      replacementTrigger: rootDigest(settings),
      hooks: {
        beforeCreate: [image.isThere, ...(wantsNewRoot(found, settings) ? [host.hooks.removeRootDisk] : [])],
      },
      dependsOn: teardown,
    },
  );
}

/**
 * The provider adopts a volume that is there as it is, so it is asked for in the size that it has; {@link createSettings} grows it.
 * A changed size would replace it, so that is never the provider's business.
 */
export function createProjectDisk(
  children: Children,
  { host, settings, found }: VmContext,
  pool: libvirt.Pool,
  teardown: command.local.Command,
) {
  return children.create(
    "projectDisk",
    libvirt.Volume,
    {
      name: "project.qcow2",
      pool: pool.name,
      format: "qcow2",
      size: found.projectDisk?.capacity ?? settings.disk,
      xml: { xslt: qcow2Xslt },
    },
    {
      provider: host.provider,
      retainOnDelete: true,
      ignoreChanges: ["size", "format", "xml"],
      hooks: { beforeCreate: [host.hooks.adopt, host.hooks.checkProjectDisk] },
      dependsOn: teardown,
    },
  );
}

/** cloud-init reads it at first boot only, so a changed one is nothing to a VM that exists, until its root is recreated. */
export function createSeed(
  children: Children,
  { name, args, host, settings, found }: VmContext,
  pool: libvirt.Pool,
  rootDisk: libvirt.Volume,
) {
  const guest = {
    name,
    hostname: hostName(name),
    sshKeys: args.sshKeys,
    diskSerial: diskSerial(name, "project"),
    imageKind: settings.image?.kind ?? host.imageKind,
  };
  const isForNewRoot = wantsNewRoot(found, settings) || hasLostRoot(found);
  const isGone = isLost(found, "seed.iso") || hasLostRoot(found);
  const { xml, opts } = leftOrRecreated(isGone, closedXslt, ["source", "xml"]);
  return children.create(
    "seed",
    libvirt.Volume,
    {
      name: "seed.iso",
      pool: pool.name,
      format: "iso",
      // The provider reads it as a URL.
      source: pathToFileURL(seedIso(hostName(name), { userData: userData(guest), metaData: metaData(guest) })).href,
      xml,
    },
    {
      ...opts,
      provider: host.provider,
      retainOnDelete: true,
      replacementTrigger: rootDigest(settings),
      hooks: isForNewRoot ? { beforeCreate: [host.hooks.removeSeed] } : {},
      // When both are recreated, the guest is shut down once.
      dependsOn: rootDisk,
    },
  );
}
