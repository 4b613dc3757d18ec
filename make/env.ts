import { checkoutEnvironment, prepareCheckout, projectRoot } from "../src/checkout/checkout.ts";
import { releaseLocksOfNoStack } from "../src/checkout/stack-lock.ts";
import { UserError } from "../src/core/errors.ts";
import { log } from "../src/core/progress.ts";
import { runProgram } from "../src/core/run-program.ts";
import { toolchainEnvironment } from "../toolchain/ensure.ts";

/** `make env`: shell code after which plain `pulumi` works on this checkout's stacks. */
await runProgram(async () => {
  prepareCheckout(projectRoot);
  await releaseLocks();
  for (const [name, value] of Object.entries({ ...checkoutEnvironment(projectRoot), ...toolchainEnvironment() })) {
    // A shell can have names that it does not take itself, and would end at one.
    if (!/^[a-z_]\w*$/i.test(name)) continue;
    console.log(value === undefined ? `unset '${name}'` : `export ${name}='${value.replaceAll("'", `'\\''`)}'`);
  }
});

/** One that stays keeps no other stack from being worked on. */
async function releaseLocks(): Promise<void> {
  try {
    await releaseLocksOfNoStack(projectRoot, log);
  } catch (error) {
    const isTold = error instanceof UserError || (error as NodeJS.ErrnoException).code === "EACCES";
    if (!isTold) throw error;
    log((error as Error).message);
  }
}
