import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import { examineEmbeddedHost } from "../../../src/operations/doctor/embedded.ts";

/**
 * Starts or removes a checkout's embedded host, or says what the doctor finds of it; for a machine that is a namespace. Its arguments:
 * start, remove or examine, the checkout.
 */
const [verb, checkout = ""] = process.argv.slice(2);
const host = embeddedHostFor(checkout);
if (verb === "start") await startEmbeddedHost(host, console.log);
else if (verb === "examine") {
  const found = examineEmbeddedHost(checkout, host.uri, console.log);
  console.log(found.map(({ level, check, says }) => `${level} ${check}: ${says}`).join("\n"));
} else {
  await stopEmbeddedHost(host, console.log, 1);
  await wipeEmbeddedHost(host);
}
