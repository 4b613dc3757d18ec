import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { runProgram } from "../../config/run-program.ts";
import { servePlugin } from "../plugin/serve.ts";
import { standsInFor } from "./config.ts";
import { TailscaleProvider } from "./provider.ts";

const provider = new TailscaleProvider();
runProgram(() =>
  servePlugin({
    service: providerService.ResourceProviderService,
    handlers: provider.handlers(),
    standsInFor,
    stop: async () => provider.stop(),
  }),
);
