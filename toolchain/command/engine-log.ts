import * as grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/engine_pb.js";

/** Writes to the engine's log, line after line. */
export class EngineLog {
  private readonly engine: InstanceType<typeof engineService.EngineClient> | undefined;
  private last: Promise<void> = Promise.resolve();

  /** @param address the engine's; without one nothing is logged */
  constructor(address: string | undefined) {
    this.engine = address ? new engineService.EngineClient(address, grpc.credentials.createInsecure()) : undefined;
  }

  /**
   * Shows a line as the resource's status, as the official plugin does: on the resource's row while it is being worked
   * on, and not kept.
   */
  status(urn: string, message: string): void {
    const { engine } = this;
    if (engine === undefined) return;
    const request = new messages.LogRequest()
      .setSeverity(messages.LogSeverity.INFO)
      .setMessage(message)
      .setUrn(urn)
      .setEphemeral(true);
    // One after the other: the engine keeps no order among calls that are under way at once.
    this.last = this.last.then(() => new Promise((resolve) => engine.log(request, () => resolve())));
  }

  /** Waits until all that was logged has arrived. */
  flush(): Promise<void> {
    return this.last;
  }
}
