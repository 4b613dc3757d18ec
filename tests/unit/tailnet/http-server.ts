import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it came. */
export interface Request {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What to answer; "hang" is never to answer. */
export type Answer = { status?: number; headers?: Record<string, string>; body?: unknown } | "hang";

/** A server on the loopback interface that answers as it is told and remembers what it was asked. */
export class HttpServer {
  readonly requests: Request[] = [];
  answer: (request: Request) => Answer = () => ({ body: {} });
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(): Promise<HttpServer> {
    const server = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const { method = "", url = "", headers } = incoming;
        const request = { method, path: url, headers, body: Buffer.concat(chunks).toString("utf8") };
        started.requests.push(request);
        const answer = started.answer(request);
        if (answer === "hang") return;
        const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? null);
        response.writeHead(answer.status ?? 200, { "Content-Type": "application/json", ...answer.headers }).end(text);
      });
    });
    const started = new HttpServer(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Answers with these, one after the other; the last one again and again. */
  answers(...answers: [Answer, ...Answer[]]): void {
    let next = 0;
    this.answer = () => answers[Math.min(next++, answers.length - 1)] as Answer;
  }

  reset(): void {
    this.requests.length = 0;
    this.answer = () => ({ body: {} });
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
