import type * as language from "@pulumi/pulumi/proto/language_pb.js";
import messages from "@pulumi/pulumi/proto/language_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import { type Handlers, notImplemented } from "../plugin/serve.ts";
import { pulumiVersion } from "../plugin/version.ts";
import { installDependencies, npmVersion, programDependencies } from "./dependencies.ts";
import { runtimeOptions } from "./options.ts";
import { type RequiredPackage, requiredPackages } from "./packages.ts";
import { ProgramRunner } from "./program.ts";

/**
 * The language host: tells the engine which plugins a Node.js program needs, and runs it by the `cmd/run` of the SDK
 * that the program itself has installed.
 */
export class LanguageHost {
  private readonly programs = new ProgramRunner();
  private engine: string;

  /** @param engine the engine's address; undefined if it comes by handshake */
  constructor(engine: string | undefined) {
    this.engine = engine ?? "";
  }

  /** Ends the running program. */
  stop(): Promise<void> {
    return this.programs.stop();
  }

  /** What of the protocol is there; all else is refused by name. */
  handlers(): Handlers {
    return {
      handshake: (request: language.LanguageHandshakeRequest) => {
        this.engine = request.getEngineAddress();
        return new messages.LanguageHandshakeResponse();
      },
      getPluginInfo: () => new pluginMessages.PluginInfo().setVersion(pulumiVersion),
      getRequiredPackages: (request: language.GetRequiredPackagesRequest) =>
        new messages.GetRequiredPackagesResponse().setPackagesList(
          requiredPackages(programInfo(request).getProgramDirectory()).map(packageMessage),
        ),
      run: (request: language.RunRequest) => this.run(request),
      cancel: async () => {
        await this.programs.stop();
        return new emptyMessages.Empty();
      },
      about,
      getProgramDependencies,
      installDependencies: { stream: install },
      runtimeOptionsPrompts: () => new messages.RuntimeOptionsResponse(),
    };
  }

  private async run(request: language.RunRequest): Promise<language.RunResponse> {
    if (request.getAttachDebugger()) {
      throw notImplemented("--attach-debugger", `pulumi-language-nodejs ${pulumiVersion}`);
    }
    const info = programInfo(request);
    const end = await this.programs.run({
      programDirectory: info.getProgramDirectory(),
      rootDirectory: info.getRootDirectory(),
      entryPoint: info.getEntryPoint(),
      options: programOptions(info),
      monitorAddress: request.getMonitorAddress(),
      engineAddress: this.engine,
      organization: request.getOrganization(),
      project: request.getProject(),
      stack: request.getStack(),
      dryRun: request.getDryrun(),
      parallel: request.getParallel(),
      args: request.getArgsList(),
      config: new Map(request.getConfigMap().toArray()),
      secretKeys: request.getConfigsecretkeysList(),
    });
    return new messages.RunResponse().setError(end.error).setBail(end.bail);
  }
}

function programInfo(request: { getInfo(): language.ProgramInfo | undefined }): language.ProgramInfo {
  const info = request.getInfo();
  if (info === undefined) throw new Error("the request does not say which program it is for");
  return info;
}

function programOptions(info: language.ProgramInfo): Record<string, unknown> {
  return info.getOptions()?.toJavaScript() ?? {};
}

function packageMessage(required: RequiredPackage) {
  const message = new pluginMessages.PackageDependency()
    .setName(required.name)
    .setKind("resource")
    .setVersion(required.version)
    .setServer(required.server);
  if (required.parameterization) {
    const { name, version, value } = required.parameterization;
    message.setParameterization(
      new pluginMessages.PackageParameterization().setName(name).setVersion(version).setValue(value),
    );
  }
  return message;
}

function about(): language.AboutResponse {
  const response = new messages.AboutResponse().setExecutable(process.execPath).setVersion(process.version);
  response.getMetadataMap().set("packagemanager", "npm").set("packagemanagerVersion", npmVersion());
  return response;
}

function getProgramDependencies(request: language.GetProgramDependenciesRequest) {
  const folder = programInfo(request).getProgramDirectory();
  const dependencies = programDependencies(folder, request.getTransitivedependencies());
  return new messages.GetProgramDependenciesResponse().setDependenciesList(
    dependencies.map(({ name, version }) => new messages.DependencyInfo().setName(name).setVersion(version)),
  );
}

async function install(
  request: language.InstallDependenciesRequest,
  send: (response: language.InstallDependenciesResponse) => void,
): Promise<void> {
  const info = programInfo(request);
  runtimeOptions(programOptions(info));
  const stdout = (data: Buffer) => send(new messages.InstallDependenciesResponse().setStdout(data));
  stdout(Buffer.from("Installing dependencies...\n\n"));
  await installDependencies(info.getProgramDirectory(), {
    stdout,
    stderr: (data) => send(new messages.InstallDependenciesResponse().setStderr(data)),
  });
  stdout(Buffer.from("Finished installing dependencies\n\n"));
}
