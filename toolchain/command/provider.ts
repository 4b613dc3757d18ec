import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import type * as provider from "@pulumi/pulumi/proto/provider_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages, { type Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { type Handlers, notImplemented } from "../plugin/serve.ts";
import { commandVersion } from "../plugin/version.ts";
import { CommandResource, diffCommand, type Step } from "./command.ts";
import type { Difference } from "./diff.ts";
import type { EngineLog } from "./engine-log.ts";
import { checkInputs, commandKinds, type Failure, invokeKinds, type RunInputs } from "./inputs.ts";
import { CommandRunner } from "./process.ts";
import { packageSchema } from "./schema.ts";
import { type Properties, reveal } from "./values.ts";

const resourceType = "command:local:Command";
const invokeToken = "command:local:run";
const standsInFor = `pulumi-resource-command ${commandVersion}`;

/** The provider's side of the protocol: messages in, messages out. */
export class CommandProvider {
  private readonly runner = new CommandRunner();
  private readonly resource = new CommandResource(this.runner);
  private readonly log: EngineLog;

  constructor(log: EngineLog) {
    this.log = log;
  }

  /** Kills the shells of all commands that run. */
  stop(): Promise<void> {
    return this.runner.stop();
  }

  /** What of the protocol is there; all else is refused by name. */
  handlers(): Handlers {
    return {
      getPluginInfo: () => new pluginMessages.PluginInfo().setVersion(commandVersion),
      getSchema: () => new messages.GetSchemaResponse().setSchema(JSON.stringify(packageSchema())),
      checkConfig: (request: provider.CheckRequest) => new messages.CheckResponse().setInputs(request.getNews()),
      diffConfig: () => new messages.DiffResponse().setChanges(messages.DiffResponse.DiffChanges.DIFF_NONE),
      configure: () =>
        new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true).setAcceptresources(true),
      attach: () => new emptyMessages.Empty(),
      cancel: async () => {
        await this.runner.stop();
        return new emptyMessages.Empty();
      },
      check,
      diff,
      create: (request: provider.CreateRequest) => this.create(request),
      read,
      update: (request: provider.UpdateRequest) => this.update(request),
      delete: (request: provider.DeleteRequest) => this.delete(request),
      invoke: (request: provider.InvokeRequest) => this.invoke(request),
    };
  }

  private async create(request: provider.CreateRequest): Promise<provider.CreateResponse> {
    const name = requireCommand(request.getUrn());
    const inputs = properties(request.getProperties());
    const { id, state } = await this.step(request, (step) => this.resource.create(name, inputs, step));
    return new messages.CreateResponse().setId(id).setProperties(struct(state));
  }

  private async update(request: provider.UpdateRequest): Promise<provider.UpdateResponse> {
    requireCommand(request.getUrn());
    const olds = properties(request.getOlds());
    const news = keepIgnored(olds, properties(request.getNews()), request.getIgnorechangesList());
    const state = await this.step(request, (step) => this.resource.update(olds, news, step));
    return new messages.UpdateResponse().setProperties(struct(state));
  }

  private async delete(request: provider.DeleteRequest): Promise<object> {
    requireCommand(request.getUrn());
    const state = properties(request.getProperties());
    await this.step(request, (step) => this.resource.delete(state, step));
    return new emptyMessages.Empty();
  }

  private async invoke(request: provider.InvokeRequest): Promise<provider.InvokeResponse> {
    if (request.getTok() !== invokeToken) throw notImplemented(request.getTok(), standsInFor);
    const { inputs, failures } = checkInputs(properties(request.getArgs()), invokeKinds, "local.RunInputs");
    if (!("command" in inputs)) {
      failures.push({ property: "command", reason: "Missing required field 'command' on 'local.RunInputs'" });
    }
    if (failures.length > 0) return new messages.InvokeResponse().setFailuresList(failures.map(failureMessage));
    const output = await this.runner.run({
      ...(reveal(inputs) as unknown as RunInputs & { command: string }),
      previous: { stdout: "", stderr: "" },
      timeout: 0,
      log: (line) => this.log.status("", line),
    });
    await this.log.flush();
    return new messages.InvokeResponse().setReturn(struct({ ...inputs, ...output }));
  }

  /** Runs a step with its log; all of the log is there before the engine hears that the step is over. */
  private async step<Result>(
    request: { getUrn(): string; getTimeout(): number; getPreview?(): boolean },
    run: (step: Step) => Promise<Result>,
  ): Promise<Result> {
    const urn = request.getUrn();
    try {
      return await run({
        preview: request.getPreview?.() ?? false,
        timeout: request.getTimeout(),
        log: (line) => this.log.status(urn, line),
      });
    } finally {
      await this.log.flush();
    }
  }
}

function check(request: provider.CheckRequest): provider.CheckResponse {
  requireCommand(request.getUrn());
  const { inputs, failures } = checkInputs(properties(request.getNews()), commandKinds, "local.CommandInputs");
  return new messages.CheckResponse().setInputs(struct(inputs)).setFailuresList(failures.map(failureMessage));
}

function diff(request: provider.DiffRequest): provider.DiffResponse {
  requireCommand(request.getUrn());
  const olds = properties(request.getOlds());
  const news = keepIgnored(olds, properties(request.getNews()), request.getIgnorechangesList());
  return diffMessage(diffCommand(olds, news));
}

/** There is nothing to look at: what a command once printed is what it printed. */
function read(request: provider.ReadRequest): provider.ReadResponse {
  requireCommand(request.getUrn());
  return new messages.ReadResponse()
    .setId(request.getId())
    .setProperties(request.getProperties())
    .setInputs(request.getInputs());
}

function diffMessage(difference: Difference): provider.DiffResponse {
  const { DiffChanges } = messages.DiffResponse;
  const { Kind } = messages.PropertyDiff;
  // `triggers` alone is to replace, and only as a whole: what of it changes is for the program's replaceOnChanges.
  const replaces: string[] = [...difference.keys()].filter((path) => path === "triggers");
  const kinds = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
  } as const;
  const response = new messages.DiffResponse()
    .setChanges(difference.size > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE)
    // By these the engine's progress names what changes.
    .setDiffsList([...new Set([...difference.keys()].map((path) => path.split(/[.[]/, 1)[0] ?? path))])
    .setReplacesList(replaces)
    .setHasdetaileddiff(true);
  for (const [path, change] of difference) {
    const kind = kinds[change][replaces.includes(path) ? 1 : 0];
    response.getDetaileddiffMap().set(path, new messages.PropertyDiff().setKind(kind));
  }
  return response;
}

/** The name of a resource of the one type there is; all other types are refused. */
function requireCommand(urn: string): string {
  const [, , types = "", ...name] = urn.split("::");
  const type = types.slice(types.lastIndexOf("$") + 1);
  if (type !== resourceType) throw notImplemented(type, standsInFor);
  return name.join("::");
}

function keepIgnored(olds: Properties, news: Properties, ignored: string[]): Properties {
  const kept = ignored.filter((key) => key in olds).map((key) => [key, olds[key] ?? null] as const);
  return { ...news, ...Object.fromEntries(kept) };
}

function failureMessage({ property, reason }: Failure) {
  return new messages.CheckFailure().setProperty(property).setReason(reason);
}

function properties(message: Struct | undefined): Properties {
  return (message?.toJavaScript() ?? {}) as Properties;
}

function struct(values: Properties): Struct {
  return structMessages.Struct.fromJavaScript(values);
}
