import { runEntry } from "../guest/entry.ts";
import { virshFor } from "../host/virsh.ts";
import { type ApiConfig, withEnvironment } from "../tailnet/access.ts";
import { type Teardown, tearDown } from "./teardown.ts";

/** The environment variable that carries the {@link ApiConfig} of a tailnet, a secret, as JSON. */
const apiVariable = "PROJECT_VMS_TAILNET_API";

/** Entry of the deletion of a VM's `teardown` command. */
await runEntry("PROJECT_VMS_TEARDOWN", async (teardown: Teardown) => {
  const configured = JSON.parse(process.env[apiVariable] ?? "{}") as ApiConfig;
  await tearDown(virshFor(teardown.uri), teardown, withEnvironment(configured, process.env), console.error);
});
