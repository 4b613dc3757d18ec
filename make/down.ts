import { checkoutOfHost, cutsPower } from "../src/checkout/checkout.ts";
import { log } from "../src/core/progress.ts";
import { runProgram } from "../src/core/run-program.ts";
import { stopEmbeddedHost } from "../src/embedded-host/embedded.ts";
import { embeddedHostFor } from "../src/libvirt/embedded-layout.ts";

/**
 * `make down`: the VMs shut down, then the embedded host goes; disks and definitions stay for the next `make up`. With GONE that of a
 * checkout that is gone; with FORCE=yes also where guests lose their power by that.
 */
await runProgram(async () => stopEmbeddedHost(embeddedHostFor(checkoutOfHost()), log, undefined, cutsPower()));
