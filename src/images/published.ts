import type { ImageSettings } from "../config/settings.ts";
import { UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { refreshPool } from "../libvirt/pool-volumes.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { ensureImage } from "./image.ts";
import { publishImage, stateOf, uploadSeconds } from "./publish.ts";

/** An image that the state says was published, and where. */
export interface PublishedBefore {
  image: ImageSettings;
  /** The volume's name then. */
  name: string;
  uri: string;
  pool: string;
  /** Of the resource that published it. */
  urn: string;
}

/**
 * Before something is put on an image that was published by an earlier update: it may have been removed or altered since,
 * and comes back then.
 *
 * @throws UserError when what can be had today is another image: one that was built does not come out the same twice
 */
export async function requirePublished({ image, name, uri, pool, urn }: PublishedBefore, log: Log): Promise<void> {
  const virsh = virshFor(uri, uploadSeconds);
  await refreshPool(virsh, pool);
  const state = await stateOf(virsh, { name }, pool);
  if (state === "whole") return;
  log(`${name} is ${state} on the host: publishing it again`);
  const again = await publishImage(await ensureImage(image, log), uri, pool, log);
  if (again.name === name) return;
  throw new UserError("The base image has gone from the host, and cannot be had again as it was.", [
    {
      path: `pool ${pool}`,
      rule: `must have ${name}, which is also no longer on this machine; in its place there is ${again.name} now`,
      remedy: `have new VMs stand on that: \`pulumi up --replace '${urn}'\``,
    },
  ]);
}
