import languageService from "@pulumi/pulumi/proto/language_grpc_pb.js";
import { engineAddress } from "../plugin/arguments.ts";
import { runPlugin } from "../plugin/serve.ts";
import { pulumiVersion } from "../plugin/version.ts";
import { LanguageHost } from "./language-host.ts";

if (process.argv.some((argument) => /^--?version$/.test(argument))) {
  console.log(`v${pulumiVersion}`);
} else {
  const host = new LanguageHost(engineAddress(process.argv.slice(2)));
  runPlugin({
    service: languageService.LanguageRuntimeService,
    handlers: host.handlers(),
    standsInFor: `pulumi-language-nodejs ${pulumiVersion}`,
    stop: () => host.stop(),
  });
}
