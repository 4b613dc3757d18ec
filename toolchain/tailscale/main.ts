import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { runPlugin } from "../plugin/serve.ts";
import { standsInFor } from "./config.ts";
import { TailscaleProvider } from "./provider.ts";

const provider = new TailscaleProvider();
runPlugin({
  service: providerService.ResourceProviderService,
  handlers: provider.handlers(),
  standsInFor,
  stop: async () => provider.stop(),
});
