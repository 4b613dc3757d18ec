import type { ImageSettings } from "../config/settings.ts";
import { say } from "../core/say.ts";
import { ensureImage } from "../images/image.ts";
import { endWithShell } from "../images/interrupted.ts";
import { publishImage } from "../images/publish.ts";
import { runEntry } from "./run-step.ts";

/** What the `baseImage` command of a host tells this program. */
interface Request {
  image: ImageSettings;
  uri: string;
  pool: string;
}

endWithShell(Number(process.env.PROJECT_VMS_SHELL) || undefined);

/**
 * Entry of the `baseImage` command: the image in this machine's cache, then in the host's pool. Progress goes to stderr,
 * what came of it to stdout as JSON.
 */
await runEntry("PROJECT_VMS_IMAGE", async ({ image, uri, pool }: Request) => {
  const made = await ensureImage(image, say);
  const { name, path } = await publishImage(made, uri, pool, say);
  console.log(JSON.stringify({ name, path, sha512: made.sha512, virtualSize: made.virtualSize }));
});
