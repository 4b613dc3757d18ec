import { runProgram } from "../config/run-program.ts";
import { ensureToolchain } from "../toolchain/ensure.ts";
import { log } from "./progress.ts";

/** `make toolchain`: makes sure that there is a Pulumi to work with. */
await runProgram(async () => {
  await ensureToolchain(log);
});
