import { readFileSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { NamespaceProcess } from "./namespace-process.ts";

/** Listens inside, and leads each connection to a socket file, which network namespaces do not divide. */
const insideScript = `
const { connect, createServer } = require("node:net");
const [socketFile, port] = process.argv.slice(1);
createServer((inside) => {
  const outside = connect(socketFile);
  for (const [one, other] of [[inside, outside], [outside, inside]]) one.pipe(other).on("error", () => one.destroy());
}).listen(Number(port), "127.0.0.1", () => console.log("listens"));`;

/** What makes a server of this process's be reached inside a network namespace too, under the same address on its loopback. */
export class Door {
  private readonly listener: Server;
  private readonly inside: NamespaceProcess;

  private constructor(listener: Server, inside: NamespaceProcess) {
    this.listener = listener;
    this.inside = inside;
  }

  /**
   * @param server that listens on this machine's loopback interface, at that port
   * @param dir for its socket and its log
   */
  static async open(server: HttpServer, port: number, netns: string, dir: string): Promise<Door> {
    const socketFile = join(dir, `door-${port}`);
    const listener = createServer((socket) => void server.emit("connection", socket));
    await new Promise<void>((resolve) => listener.listen(socketFile, resolve));
    const command = [process.execPath, "--eval", insideScript, socketFile, String(port)];
    const inside = new NamespaceProcess(netns, command, `${socketFile}.log`);
    await inside.waitUntil("listens", 30, async () => readFileSync(inside.logFile, "utf8").includes("listens"));
    return new Door(listener, inside);
  }

  async close(): Promise<void> {
    this.listener.close();
    await this.inside.stop();
  }
}
