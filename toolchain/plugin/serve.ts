import * as grpc from "@grpc/grpc-js";
import { runProgram } from "../../src/core/run-program.ts";

/** Answers one call. A thrown error becomes the call's error; `code` on it is the gRPC status. */
export type UnaryHandler<Request, Response> = (request: Request) => Promise<Response> | Response;

/** Answers one call with a stream: `send` as often as needed, then return. */
export type StreamHandler<Request, Response> = (request: Request, send: (response: Response) => void) => Promise<void>;

/** What a stand-in offers: handlers by method name as in the service's definition (`getPluginInfo`). */
// biome-ignore lint/suspicious/noExplicitAny: each handler knows its own request; the gRPC library gives no common type
export type Handlers = Record<string, UnaryHandler<any, any> | { stream: StreamHandler<any, any> }>;

/** A plugin to serve. */
export interface PluginServer {
  /** The gRPC service as generated from the protocol. */
  service: grpc.ServiceDefinition;
  handlers: Handlers;
  /** What is being stood in for, as in "pulumi-resource-command 1.2.1"; named when something is refused. */
  standsInFor: string;
  /** Ends what the plugin has started; awaited before the process leaves. */
  stop: () => Promise<void>;
}

/** As much as the engine itself allows. */
const maximumMessageBytes = 400 * 1024 * 1024;

/** How often to look whether the engine is still there, in milliseconds. */
const parentWatchInterval = 500;

/** An error that carries a gRPC status, so that the engine shows its text without decoration. */
export class StatusError extends Error {
  readonly code: grpc.status;

  constructor(code: grpc.status, message: string) {
    super(message);
    this.code = code;
  }
}

/** The refusal of something that a stand-in does not do: names it, and says what to do. */
export function notImplemented(what: string, standsInFor: string): StatusError {
  return new StatusError(
    grpc.status.UNIMPLEMENTED,
    `${what} is not implemented by this project's stand-in for ${standsInFor}: install the official one to use it`,
  );
}

/**
 * Serves a plugin on a free port of the loopback interface, prints the port (which is how the engine learns it), and
 * leaves when the engine asks (SIGINT, SIGTERM) or is gone.
 */
async function servePlugin(plugin: PluginServer): Promise<void> {
  // Taken before anything else: an engine that dies meanwhile must be noticed as well.
  const engine = process.ppid;
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maximumMessageBytes,
    "grpc.max_send_message_length": maximumMessageBytes,
  });
  server.addService(plugin.service, implementation(plugin));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  let leaving = false;
  const leave = async () => {
    if (leaving) return;
    leaving = true;
    await plugin.stop().catch(() => undefined);
    process.exit(0);
  };
  process.on("SIGINT", leave);
  process.on("SIGTERM", leave);
  // An engine that was killed outright sends no signal; its children are then somebody else's.
  setInterval(() => process.ppid !== engine && leave(), parentWatchInterval);
  process.stdout.write(`${port}\n`);
}

/** Runs a plugin. One that could not be started ends, whatever it has open: the engine shows what it printed. */
export async function runPlugin(plugin: PluginServer): Promise<void> {
  await runProgram(() => servePlugin(plugin));
  if (process.exitCode) process.exit();
}

function implementation(plugin: PluginServer): grpc.UntypedServiceImplementation {
  const methods: grpc.UntypedServiceImplementation = {};
  for (const [name, definition] of Object.entries(plugin.service)) {
    const handler = plugin.handlers[name];
    if (handler === undefined) {
      methods[name] = refuse(definition, notImplemented(methodName(definition), plugin.standsInFor));
    } else if (typeof handler === "function") {
      methods[name] = unary(handler);
    } else {
      methods[name] = streaming(handler.stream);
    }
  }
  return methods;
}

/** "/pulumirpc.LanguageRuntime/Pack" is Pack. */
function methodName(definition: grpc.MethodDefinition<unknown, unknown>): string {
  return definition.path.slice(definition.path.lastIndexOf("/") + 1);
}

function refuse(definition: grpc.MethodDefinition<unknown, unknown>, error: StatusError): grpc.UntypedHandleCall {
  if (definition.responseStream) {
    return (call: grpc.ServerWritableStream<unknown, unknown>) => {
      call.emit("error", serviceError(error));
    };
  }
  return (_call: grpc.ServerUnaryCall<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
    callback(serviceError(error));
  };
}

function unary(handler: UnaryHandler<unknown, unknown>): grpc.UntypedHandleCall {
  return async (call: grpc.ServerUnaryCall<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
    try {
      callback(null, await handler(call.request));
    } catch (error) {
      callback(serviceError(error));
    }
  };
}

function streaming(handler: StreamHandler<unknown, unknown>): grpc.UntypedHandleCall {
  return async (call: grpc.ServerWritableStream<unknown, unknown>) => {
    try {
      await handler(call.request, (response) => void call.write(response));
      call.end();
    } catch (error) {
      call.emit("error", serviceError(error));
    }
  };
}

function serviceError(error: unknown): Partial<grpc.StatusObject> {
  const message = error instanceof Error ? error.message : String(error);
  return { code: error instanceof StatusError ? error.code : grpc.status.UNKNOWN, details: message };
}
