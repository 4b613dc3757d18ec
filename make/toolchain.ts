import { log } from "../src/core/progress.ts";
import { runProgram } from "../src/core/run-program.ts";
import { ensureToolchain } from "../toolchain/ensure.ts";

/** `make toolchain`: makes sure that there is a Pulumi to work with. */
await runProgram(async () => {
  await ensureToolchain(log);
});
