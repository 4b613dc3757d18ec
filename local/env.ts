import { runProgram } from "../config/run-program.ts";
import { toolchainEnvironment } from "../toolchain/ensure.ts";
import { checkoutEnvironment, prepareCheckout, projectRoot } from "./checkout.ts";

/** `make env`: shell code after which plain `pulumi` works on this checkout's stacks. */
await runProgram(async () => {
  prepareCheckout(projectRoot);
  for (const [name, value] of Object.entries({ ...checkoutEnvironment(projectRoot), ...toolchainEnvironment() })) {
    // A shell can have names that it does not take itself, and would end at one.
    if (!/^[a-z_]\w*$/i.test(name)) continue;
    console.log(value === undefined ? `unset '${name}'` : `export ${name}='${value.replaceAll("'", `'\\''`)}'`);
  }
});
