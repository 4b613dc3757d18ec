import { UserError } from "../config/errors.ts";
import type { ImageSettings } from "../config/settings.ts";
import { say, sayFailure } from "../host/say.ts";
import { VirshError } from "../host/virsh.ts";
import { ensureImage } from "./image.ts";
import { endWithShell } from "./leftovers.ts";
import { publishImage } from "./publish.ts";

/** What the `baseImage` command of a host tells this program. */
interface Request {
  image: ImageSettings;
  uri: string;
  pool: string;
}

/**
 * Entry of the `baseImage` command: the image in this machine's cache, then in the host's pool. Progress goes to stderr,
 * what came of it to stdout as JSON.
 */
async function main(): Promise<void> {
  const { image, uri, pool } = JSON.parse(process.env.PROJECT_VMS_IMAGE ?? "") as Request;
  const made = await ensureImage(image, say);
  const { name, path } = await publishImage(made, uri, pool, say);
  console.log(JSON.stringify({ name, path, sha512: made.sha512, virtualSize: made.virtualSize }));
}

endWithShell(Number(process.env.PROJECT_VMS_SHELL) || undefined);
try {
  await main();
} catch (error) {
  sayFailure(error, error instanceof UserError || error instanceof VirshError);
  process.exitCode = 1;
}
