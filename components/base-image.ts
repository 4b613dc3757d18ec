import { posix } from "node:path";
import * as command from "@pulumi/command";
import type * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import type { ImageSettings } from "../src/config/settings.ts";
import { basePoolName } from "../src/core/names.ts";
import { imageIdentity } from "../src/images/image.ts";
import { requirePublished } from "../src/images/published.ts";
import { tidyingCommand } from "./entry-command.ts";
import type { HostChildren } from "./vm-host-args.ts";

/** The base image on the host. */
export interface PublishedImage {
  /** The volume's name, content-addressed: `debian-testing-<first 12 of its sha512>.qcow2`. */
  name: string;
  /** The volume's path on the host, which is also libvirt's key for it. */
  path: string;
}

/** A base image as new root disks need it. */
export interface BaseImage {
  published: pulumi.Output<PublishedImage>;
  /** Run before a root disk is made: an image that has gone from the host since it was published comes back. */
  isThere: pulumi.ResourceHook;
}

/**
 * A step of our own and not a Volume: an upload that was cut off must be found out and done again, never stood on.
 * It is run again only when another image is asked for, or another host: not for another place of the step (bin/former-steps.js), since
 * an image that is in no cache any more would be built again, and come out as another one.
 */
export function createBaseImage(
  children: HostChildren,
  uri: string,
  image: ImageSettings,
  basePool: libvirt.Pool,
  role: string,
): { command: command.local.Command; image: BaseImage } {
  const made = children.create(
    role as "baseImage",
    command.local.Command,
    {
      create: tidyingCommand(new URL("../src/steps/publish-base-image.ts", import.meta.url)),
      environment: { PROJECT_VMS_IMAGE: JSON.stringify({ image, uri, pool: basePoolName }) },
      triggers: [imageIdentity(image)],
      logging: "stderr",
    },
    { dependsOn: basePool, ignoreChanges: ["create"] },
  );
  const published = pulumi
    .all([made.stdout, basePool.target])
    .apply(([answer, target]) => inFolder(JSON.parse(answer) as PublishedImage, target?.path));
  // All root disks of an update ask at once; one look is enough.
  let looked: Promise<void> | undefined;
  const isThere = new pulumi.ResourceHook(`${children.nameOf(role)}-is-there`, () => {
    looked ??= settled(pulumi.all([published, made.urn])).then(([{ name }, urn]) =>
      requirePublished({ image, name, uri, pool: basePoolName, urn }, (line) => void pulumi.log.info(line, made)),
    );
    return looked;
  });
  return { command: made, image: { published, isThere } };
}

/** The step tells where the pool was when it ran; with another `host.storageDir` the pool is elsewhere, and the step is as it was. */
const inFolder = (published: PublishedImage, folder: string | undefined): PublishedImage =>
  folder === undefined ? published : { ...published, path: posix.join(folder, published.name) };

const settled = <T>(output: pulumi.Output<T>) => new Promise<T>((resolve) => output.apply(resolve));
