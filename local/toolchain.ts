import { ensureToolchain } from "../toolchain/ensure.ts";
import { log } from "./progress.ts";
import { run } from "./run.ts";

/** `make toolchain`: makes sure that there is a Pulumi to work with. */
await run(async () => {
  await ensureToolchain(log);
});
