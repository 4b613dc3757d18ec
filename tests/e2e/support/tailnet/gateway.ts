import { spawn } from "node:child_process";
import { createServer, type Server, type Socket } from "node:net";

/**
 * A port on this machine's loopback interface that leads to an address inside a network namespace, so that what runs
 * out here (an engine, a test) reaches what listens in there.
 */
export class Gateway {
  private readonly server: Server;
  private readonly connections = new Set<Socket>();

  private constructor(netns: string, address: string, port: number) {
    this.server = createServer((socket) => {
      this.connections.add(socket);
      const inside = spawn("nsenter", [`--net=${netns}`, "--", "nc", "-N", address, String(port)], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      inside.stdin.on("error", () => undefined);
      socket.on("error", () => undefined);
      socket.pipe(inside.stdin);
      inside.stdout.pipe(socket);
      // An end in order has come through the pipe; without a reset, fetch can wait for ever on one that never began.
      inside.once("close", (code) => code !== 0 && socket.resetAndDestroy());
      socket.once("close", () => {
        this.connections.delete(socket);
        inside.kill("SIGKILL");
      });
    });
  }

  static async open(netns: string, address: string, port: number): Promise<Gateway> {
    const gateway = new Gateway(netns, address, port);
    await new Promise<void>((resolve) => gateway.server.listen(0, "127.0.0.1", resolve));
    return gateway;
  }

  /** Where it is reached from out here. */
  get url(): string {
    const address = this.server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : address}`;
  }

  close(): void {
    for (const socket of this.connections) socket.destroy();
    this.server.close();
  }
}
