import { embeddedHostFor, stopEmbeddedHost } from "../host/embedded.ts";
import { projectRoot } from "./checkout.ts";
import { log } from "./progress.ts";
import { run } from "./run.ts";

/** `make down`: the VMs shut down, then the embedded host goes; disks and definitions stay for the next `make up`. */
await run(() => stopEmbeddedHost(embeddedHostFor(projectRoot), log));
