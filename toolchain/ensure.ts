import { realpathSync } from "node:fs";
import { UserError } from "../config/errors.ts";
import { log } from "../local/progress.ts";
import { ensureToolchain } from "./ensure/toolchain.ts";

export { ensureToolchain, type Toolchain, toolchainEnvironment } from "./ensure/toolchain.ts";

// Run by make; `toolchain/ensure.ts` by itself makes sure that there is a Pulumi to work with.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  try {
    await ensureToolchain(log);
  } catch (error) {
    console.error(error instanceof UserError ? error.message : error);
    process.exitCode = 1;
  }
}
