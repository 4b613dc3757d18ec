import { log } from "../../src/core/progress.ts";
import { runProgram } from "../../src/core/run-program.ts";
import { ensureImage } from "../../src/images/image.ts";
import { sshdRoot } from "../e2e/support/remote-sshd-program.ts";
import { tailnetPrograms } from "../e2e/support/tailnet/programs.ts";

/*
 * Run by make before any test with guests: what takes minutes to build for the first time, in no test's time. Two files that each
 * build something have taken a quarter of an hour to boot a guest.
 */
await runProgram(async () => {
  // An image is built by one processor most of the time.
  await Promise.all([ensureImage({ kind: "build" }, log), tailnetPrograms(log)]);
  await sshdRoot(log);
});
