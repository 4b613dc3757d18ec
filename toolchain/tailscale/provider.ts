import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import type * as provider from "@pulumi/pulumi/proto/provider_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages, { type Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { type Properties, reveal, secret } from "../command/values.ts";
import { type Handlers, notImplemented } from "../plugin/serve.ts";
import { tailscaleVersion } from "../plugin/version.ts";
import { TailscaleClient } from "./client.ts";
import { readConfig, secretKeys, standsInFor } from "./config.ts";
import { getDevice, getDevices } from "./devices.ts";
import { checkKey, type Failure } from "./inputs.ts";
import { packageSchema } from "./schema.ts";
import {
  diffKey,
  importedInputs,
  type KeyDifference,
  plannedState,
  previewCreate,
  refreshedInputs,
  TailnetKeyResource,
} from "./tailnet-key.ts";

const resourceType = "tailscale:index/tailnetKey:TailnetKey";
const invokes = {
  "tailscale:index/getDevice:getDevice": getDevice,
  "tailscale:index/getDevices:getDevices": getDevices,
};

/** The provider's side of the protocol: messages in, messages out. */
export class TailscaleProvider {
  private configured: TailscaleClient | undefined;

  /** Ends all requests that are under way. */
  stop(): void {
    this.configured?.cancel();
  }

  /** What of the protocol is there; all else is refused by name. */
  handlers(): Handlers {
    return {
      getPluginInfo: () => new pluginMessages.PluginInfo().setVersion(tailscaleVersion),
      getSchema: () => new messages.GetSchemaResponse().setSchema(JSON.stringify(packageSchema())),
      checkConfig,
      diffConfig,
      configure: (request: provider.ConfigureRequest) => this.configure(request),
      attach: () => new emptyMessages.Empty(),
      cancel: () => {
        this.stop();
        return new emptyMessages.Empty();
      },
      check,
      diff,
      create: (request: provider.CreateRequest) => this.create(request),
      read: (request: provider.ReadRequest) => this.read(request),
      update: (request: provider.UpdateRequest) => this.update(request),
      delete: (request: provider.DeleteRequest) => this.delete(request),
      invoke: (request: provider.InvokeRequest) => this.invoke(request),
    };
  }

  private configure(request: provider.ConfigureRequest): provider.ConfigureResponse {
    const given = reveal(properties(request.getArgs())) as Properties;
    this.configured = new TailscaleClient(readConfig(given, process.env));
    return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true).setAcceptresources(true);
  }

  private get client(): TailscaleClient {
    if (this.configured === undefined) throw new Error("the provider is not configured yet");
    return this.configured;
  }

  private async create(request: provider.CreateRequest): Promise<provider.CreateResponse> {
    requireKey(request.getUrn());
    const inputs = properties(request.getProperties());
    // An id is the API's to choose: in a preview nobody can know it.
    if (request.getPreview()) return new messages.CreateResponse().setProperties(struct(previewCreate(inputs)));
    const { id, state } = await new TailnetKeyResource(this.client).create(inputs);
    return new messages.CreateResponse().setId(id).setProperties(struct(state));
  }

  private async read(request: provider.ReadRequest): Promise<provider.ReadResponse> {
    requireKey(request.getUrn());
    const [before, inputs] = [properties(request.getProperties()), properties(request.getInputs())];
    const state = await new TailnetKeyResource(this.client).read(request.getId(), before);
    // No id says that there is no such key.
    if (state === undefined) return new messages.ReadResponse();
    const isImport = Object.keys(before).length === 0;
    const now = isImport ? importedInputs(state) : refreshedInputs(inputs, state);
    return new messages.ReadResponse().setId(request.getId()).setProperties(struct(state)).setInputs(struct(now));
  }

  private async update(request: provider.UpdateRequest): Promise<provider.UpdateResponse> {
    requireKey(request.getUrn());
    const olds = properties(request.getOlds());
    const news = keepIgnored(olds, properties(request.getNews()), request.getIgnorechangesList());
    const state = request.getPreview()
      ? plannedState(olds, news)
      : await new TailnetKeyResource(this.client).update(request.getId(), olds, news);
    return new messages.UpdateResponse().setProperties(struct(state));
  }

  private async delete(request: provider.DeleteRequest): Promise<object> {
    requireKey(request.getUrn());
    await new TailnetKeyResource(this.client).delete(request.getId());
    return new emptyMessages.Empty();
  }

  private async invoke(request: provider.InvokeRequest): Promise<provider.InvokeResponse> {
    const invoke = invokes[request.getTok() as keyof typeof invokes];
    if (invoke === undefined) throw notImplemented(request.getTok(), standsInFor);
    const { result, failures } = await invoke(this.client, properties(request.getArgs()));
    if (failures) return new messages.InvokeResponse().setFailuresList(failures.map(failureMessage));
    return new messages.InvokeResponse().setReturn(struct(result));
  }
}

/** Credentials are secret in the state, whatever the program says of them. */
function checkConfig(request: provider.CheckRequest): provider.CheckResponse {
  const entries = Object.entries(properties(request.getNews())).map(([key, value]) => [
    key,
    secretKeys.includes(key) && value !== null ? secret(value) : value,
  ]);
  return new messages.CheckResponse().setInputs(struct(Object.fromEntries(entries)));
}

/** Other credentials or another address make no new provider. */
function diffConfig(request: provider.DiffRequest): provider.DiffResponse {
  const [olds, news] = [properties(request.getOlds()), properties(request.getNews())];
  const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
  const plain = (value: Properties, key: string) => JSON.stringify(reveal(value[key] ?? null));
  return diffMessage({ changed: keys.filter((key) => plain(olds, key) !== plain(news, key)), replaces: [] });
}

function check(request: provider.CheckRequest): provider.CheckResponse {
  const { inputs, failures } = checkKey(properties(request.getNews()), requireKey(request.getUrn()));
  return new messages.CheckResponse().setInputs(struct(inputs)).setFailuresList(failures.map(failureMessage));
}

function diff(request: provider.DiffRequest): provider.DiffResponse {
  requireKey(request.getUrn());
  const olds = properties(request.getOlds());
  const news = keepIgnored(olds, properties(request.getNews()), request.getIgnorechangesList());
  return diffMessage(diffKey(olds, news));
}

function diffMessage({ changed, replaces }: KeyDifference): provider.DiffResponse {
  const { DiffChanges } = messages.DiffResponse;
  return new messages.DiffResponse()
    .setChanges(changed.length > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE)
    .setDiffsList(changed)
    .setReplacesList(replaces);
}

/** The name of a resource of the one type there is; all other types are refused. */
function requireKey(urn: string): string {
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
