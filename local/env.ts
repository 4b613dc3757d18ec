import { toolchainEnvironment } from "../toolchain/ensure.ts";
import { checkoutEnvironment, prepareCheckout, projectRoot } from "./checkout.ts";

/** `make env`: shell code after which plain `pulumi` works on this checkout's stacks. */
prepareCheckout(projectRoot);
for (const [name, value] of Object.entries({ ...toolchainEnvironment(), ...checkoutEnvironment(projectRoot) })) {
  console.log(`export ${name}='${value.replaceAll("'", `'\\''`)}'`);
}
