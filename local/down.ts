import { runProgram } from "../config/run-program.ts";
import { stopEmbeddedHost } from "../host/embedded.ts";
import { embeddedHostFor } from "../host/embedded-layout.ts";
import { checkoutOfHost, cutsPower } from "./checkout.ts";
import { log } from "./progress.ts";

/**
 * `make down`: the VMs shut down, then the embedded host goes; disks and definitions stay for the next `make up`. With GONE that of a
 * checkout that is gone; with FORCE=yes also where guests lose their power by that.
 */
await runProgram(async () => stopEmbeddedHost(embeddedHostFor(checkoutOfHost()), log, undefined, cutsPower()));
