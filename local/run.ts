import { inspect } from "node:util";
import { UserError } from "../config/errors.ts";
import { printable } from "../config/printable.ts";

/** Runs what a make target stands for; a user's mistake is shown without a stack trace. */
export async function run(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(printable(error instanceof UserError ? error.message : inspect(error)));
    process.exitCode = 1;
  }
}
