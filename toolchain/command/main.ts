import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { engineAddress } from "../plugin/arguments.ts";
import { runPlugin } from "../plugin/serve.ts";
import { commandVersion } from "../plugin/version.ts";
import { EngineLog } from "./engine-log.ts";
import { CommandProvider } from "./provider.ts";

const provider = new CommandProvider(new EngineLog(engineAddress(process.argv.slice(2))));
runPlugin({
  service: providerService.ResourceProviderService,
  handlers: provider.handlers(),
  standsInFor: `pulumi-resource-command ${commandVersion}`,
  stop: () => provider.stop(),
});
