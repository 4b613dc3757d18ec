import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../../../host/embedded.ts";
import { embeddedHostFor } from "../../../host/embedded-layout.ts";

/** Starts or removes a checkout's embedded host; for a machine that is a namespace. Its arguments: start or remove, the checkout. */
const [verb, checkout = ""] = process.argv.slice(2);
const host = embeddedHostFor(checkout);
if (verb === "start") await startEmbeddedHost(host, console.log);
else {
  await stopEmbeddedHost(host, console.log, 1);
  await wipeEmbeddedHost(host);
}
