import { createHash } from "node:crypto";
import { stringify } from "yaml";
import { type GuestSettings, userData } from "./user-data.ts";

/**
 * The meta-data of a VM's seed: its host name, and the instance id by which cloud-init tells that a seed is new to it.
 * The id is of what the user-data says, so a guest that is given another seed applies it at its next boot.
 */
export function metaData(settings: GuestSettings): string {
  const digest = createHash("sha256").update(userData(settings)).digest("hex");
  return stringify({ "instance-id": `${settings.name}-${digest.slice(0, 12)}`, "local-hostname": settings.hostname });
}
