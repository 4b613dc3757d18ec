import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type * as engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import languageService from "@pulumi/pulumi/proto/language_grpc_pb.js";
import type * as language from "@pulumi/pulumi/proto/language_pb.js";
import languageMessages from "@pulumi/pulumi/proto/language_pb.js";
import type { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import type * as provider from "@pulumi/pulumi/proto/provider_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import emptyMessages, { type Empty } from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages from "google-protobuf/google/protobuf/struct_pb.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildBundle } from "../../../toolchain/ensure/build.ts";
import { bundlePieces } from "../../../toolchain/ensure/pieces.ts";
import { commandVersion, pulumiVersion } from "../../../toolchain/plugin/version.ts";

const folder = mkdtempSync(join(tmpdir(), "plugins-"));
const started: ChildProcess[] = [];
const logged: engineMessages.LogRequest.AsObject[] = [];
const engine = new grpc.Server();
let engineAddress = "";

beforeAll(async () => {
  await Promise.all(bundlePieces().map((piece) => buildBundle(piece, folder)));
  engine.addService(engineService.EngineService, {
    log: (call: grpc.ServerUnaryCall<engineMessages.LogRequest, unknown>, callback: grpc.sendUnaryData<unknown>) => {
      logged.push(call.request.toObject());
      callback(null, new emptyMessages.Empty());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    const insecure = grpc.ServerCredentials.createInsecure();
    engine.bindAsync("127.0.0.1:0", insecure, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  engineAddress = `127.0.0.1:${port}`;
});

afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
  engine.forceShutdown();
  rmSync(folder, { recursive: true });
});

/** Starts a stand-in as the engine does: its address comes last, the port is the first line. */
async function start(name: string): Promise<{ child: ChildProcess; address: string }> {
  const child = spawn(join(folder, name), ["-v=3", engineAddress], { stdio: ["ignore", "pipe", "inherit"] });
  started.push(child);
  const lines = createInterface({ input: child.stdout });
  const port = await new Promise<string>((resolve) => lines.once("line", resolve));
  expect(port).toMatch(/^\d+$/);
  return { child, address: `127.0.0.1:${port}` };
}

type Call<Request, Response> = (
  request: Request,
  callback: (error: grpc.ServiceError | null, response: Response) => void,
) => void;

/** Calls a method of a client; an error has the form "CODE: text". */
function call<Request, Response>(client: object, method: Call<Request, Response>, request: Request): Promise<Response> {
  return new Promise((resolve, reject) => {
    method.call(client, request, (error, response) =>
      error ? reject(new Error(`${grpc.status[error.code]}: ${error.details}`)) : resolve(response),
    );
  });
}

const struct = (values: Record<string, unknown>) =>
  structMessages.Struct.fromJavaScript(values as Record<string, structMessages.JavaScriptValue>);
const urn = (type: string, name = "it") => `urn:pulumi:s::p::project-vms:index:Vm$${type}::${name}`;
const commandUrn = urn("command:local:Command");

test.each(bundlePieces())("$name ends with 1 where it has no port to be asked on", ({ name }) => {
  const noPort = join(folder, "no-port.cjs");
  writeFileSync(
    noPort,
    'require("net").Server.prototype.listen = function () { setImmediate(() => this.emit("error", new Error("no port"))); };',
  );
  const { status, stdout, stderr } = spawnSync(join(folder, name), [engineAddress], {
    env: { ...process.env, NODE_OPTIONS: `--require=${noPort}` },
    encoding: "utf8",
    timeout: 15_000,
  });
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/no port.*\n( {4}at .*\n)*This is a bug in project-vms/);
});

describe("pulumi-resource-command", () => {
  let child: ChildProcess;
  let client: InstanceType<typeof providerService.ResourceProviderClient>;

  beforeAll(async () => {
    const plugin = await start("pulumi-resource-command");
    child = plugin.child;
    client = new providerService.ResourceProviderClient(plugin.address, grpc.credentials.createInsecure());
  });

  const create = (
    inputs: Record<string, unknown>,
    change: (request: provider.CreateRequest) => void = () => undefined,
  ) => {
    const request = new messages.CreateRequest().setUrn(commandUrn).setProperties(struct(inputs));
    change(request);
    return call<provider.CreateRequest, provider.CreateResponse>(client, client.create, request);
  };

  test("tells its version, its schema, and that it takes secrets", async () => {
    const info = await call<Empty, PluginInfo>(client, client.getPluginInfo, new emptyMessages.Empty());
    expect(info.getVersion()).toBe(commandVersion);
    const schema = await call<provider.GetSchemaRequest, provider.GetSchemaResponse>(
      client,
      client.getSchema,
      new messages.GetSchemaRequest(),
    );
    expect(Object.keys(JSON.parse(schema.getSchema()).resources)).toEqual(["command:local:Command"]);
    const configured = await call<provider.ConfigureRequest, provider.ConfigureResponse>(
      client,
      client.configure,
      new messages.ConfigureRequest(),
    );
    expect(configured.toObject()).toMatchObject({ acceptsecrets: true, supportspreview: true });
  });

  test("checks inputs", async () => {
    const request = new messages.CheckRequest().setUrn(commandUrn).setNews(struct({ creat: "x" }));
    const response = await call<provider.CheckRequest, provider.CheckResponse>(client, client.check, request);
    expect(response.getFailuresList().map((failure) => failure.toObject())).toEqual([
      { property: "creat", reason: "Unrecognized field 'creat' on 'local.CommandInputs'" },
    ]);
  });

  test("creates, and logs each line as the resource's status", async () => {
    const response = await create({ create: "echo one; echo two" });
    expect(response.getId()).toMatch(/^it[0-9a-f]{8}$/);
    expect(response.getProperties()?.toJavaScript()).toMatchObject({ stdout: "one\ntwo", stderr: "" });
    expect(logged.filter((line) => line.urn === commandUrn)).toMatchObject([
      { message: "one", severity: 1, ephemeral: true },
      { message: "two", severity: 1, ephemeral: true },
    ]);
  });

  test("a failure is told in the official words", async () => {
    await expect(create({ create: "echo no; false" })).rejects.toThrow(
      new Error('UNKNOWN: exit status 1: running "echo no; false":\nno\n'),
    );
  });

  test("the resource's own timeout is kept", async () => {
    const slow = create({ create: "exec sleep 9" }, (request) => request.setTimeout(0.1));
    await expect(slow).rejects.toThrow("UNKNOWN: signal: killed: running");
  });

  test("reports what has changed by path; only triggers as a whole are to replace", async () => {
    const request = new messages.DiffRequest()
      .setUrn(commandUrn)
      .setOlds(struct({ create: "a", environment: { A: "1" }, stdout: "" }))
      .setNews(struct({ create: "b", environment: { A: "2" }, triggers: [1] }));
    const response = await call<provider.DiffRequest, provider.DiffResponse>(client, client.diff, request);
    const kinds = response
      .getDetaileddiffMap()
      .toArray()
      .map(([path]) => path);
    expect(kinds.sort()).toEqual(["create", "environment.A", "triggers"]);
    expect(response.getChanges()).toBe(messages.DiffResponse.DiffChanges.DIFF_SOME);
    expect(response.getReplacesList()).toEqual(["triggers"]);
    expect(response.getDiffsList().sort()).toEqual(["create", "environment", "triggers"]);
  });

  test("changes that are to be ignored are", async () => {
    const request = new messages.DiffRequest()
      .setUrn(commandUrn)
      .setOlds(struct({ create: "a" }))
      .setNews(struct({ create: "b" }))
      .setIgnorechangesList(["create"]);
    const response = await call<provider.DiffRequest, provider.DiffResponse>(client, client.diff, request);
    expect(response.getChanges()).toBe(messages.DiffResponse.DiffChanges.DIFF_NONE);
  });

  test("invokes command:local:run", async () => {
    const request = new messages.InvokeRequest().setTok("command:local:run").setArgs(struct({ command: "echo hi" }));
    const response = await call<provider.InvokeRequest, provider.InvokeResponse>(client, client.invoke, request);
    expect(response.getReturn()?.toJavaScript()).toEqual({
      command: "echo hi",
      stdout: "hi",
      stderr: "",
    });
  });

  test("refuses what it does not do by name, and says what to do", async () => {
    const remedy = `is not implemented by this project's stand-in for pulumi-resource-command ${commandVersion}: install the official one to use it`;
    const request = new messages.CreateRequest().setUrn(urn("command:remote:Command"));
    const remote = call<provider.CreateRequest, provider.CreateResponse>(client, client.create, request);
    await expect(remote).rejects.toThrow(new Error(`UNIMPLEMENTED: command:remote:Command ${remedy}`));
    const construct = call(client, client.construct, new messages.ConstructRequest());
    await expect(construct).rejects.toThrow(new Error(`UNIMPLEMENTED: Construct ${remedy}`));
  });

  test("Cancel ends what runs; the plugin goes on", async () => {
    const long = expect(create({ create: "exec sleep 30" })).rejects.toThrow(
      'UNKNOWN: signal: killed: running "exec sleep 30":\n',
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    await call(client, client.cancel, new emptyMessages.Empty());
    await long;
    expect((await create({ create: "echo on" })).getProperties()?.toJavaScript()).toMatchObject({ stdout: "on" });
  });

  test("an interrupt ends what runs, and then the plugin", async () => {
    const long = create({ create: "exec sleep 31" }).catch((error) => error);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const exit = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGINT");
    expect(await exit).toBe(0);
    await long;
  });
});

describe("pulumi-language-nodejs", () => {
  test("tells its version, what it is run with, and refuses the rest by name", async () => {
    const { address } = await start("pulumi-language-nodejs");
    const client = new languageService.LanguageRuntimeClient(address, grpc.credentials.createInsecure());
    const info = await call<Empty, PluginInfo>(client, client.getPluginInfo, new emptyMessages.Empty());
    expect(info.getVersion()).toBe(pulumiVersion);
    const about = await call<language.AboutRequest, language.AboutResponse>(
      client,
      client.about,
      new languageMessages.AboutRequest(),
    );
    expect(about.getVersion()).toBe(process.version);
    const generate = call(client, client.generatePackage, new languageMessages.GeneratePackageRequest());
    await expect(generate).rejects.toThrow(
      `UNIMPLEMENTED: GeneratePackage is not implemented by this project's stand-in for pulumi-language-nodejs ${pulumiVersion}: install the official one to use it`,
    );
    const plugin = client.runPlugin(new languageMessages.RunPluginRequest());
    const error = await new Promise<grpc.ServiceError>((resolve) => plugin.on("error", resolve));
    expect(error.details).toContain("RunPlugin is not implemented");
  });

  test("goes when the engine is gone without a word", async () => {
    const script = `"${folder}/pulumi-language-nodejs" & echo $!; exec sleep 30`;
    const parent = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    started.push(parent);
    const lines: string[] = [];
    for await (const line of createInterface({ input: parent.stdout })) {
      lines.push(line);
      if (lines.length === 2) break;
    }
    const pid = Number(lines[0]);
    parent.kill("SIGKILL");
    await expect.poll(() => isRunning(pid)).toBe(false);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
