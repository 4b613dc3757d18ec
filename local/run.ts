import { UserError } from "../config/errors.ts";

/** Runs what a make target stands for; a user's mistake is shown without a stack trace. */
export async function run(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof UserError ? error.message : error);
    process.exitCode = 1;
  }
}
