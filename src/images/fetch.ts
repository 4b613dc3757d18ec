import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { open as openFile, statfs } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { UserError } from "../core/errors.ts";
import { formatSize, GiB, MiB } from "../core/sizes.ts";
import { headerLength, readQcow2, standalone } from "./qcow2.ts";

/** A published image: where it is, and the digest that it must have. */
export interface PublishedSource {
  url: string;
  sha512: string;
}

/** A server that sends nothing for so long, in seconds, is given up. */
const silenceSeconds = 60;

/** What stays free of the disk that an image is fetched to, and after how much of it that is looked at, in bytes. */
const leastFree = 2 * GiB;
const lookEvery = 64 * MiB;

/** How often a line says how far it is, in seconds. */
const progressSeconds = 10;

/**
 * Downloads an image to a file and makes sure that it is the one that was asked for.
 *
 * @param file what is there is overwritten; after an error it is the caller's to remove
 * @param freeBytes how much of a folder's disk is free
 * @throws UserError when it cannot be had, is cut off, has another digest (naming both), is no qcow2 image, or fills the disk
 */
export async function fetchImage(
  { url, sha512 }: PublishedSource,
  file: string,
  log: (line: string) => void,
  freeBytes = freeBytesIn,
): Promise<void> {
  const hash = createHash("sha512");
  const silence = new Silence(silenceSeconds);
  try {
    // Opened before anything is asked for: a stream that opens it by itself may do so after the caller has cleared up.
    const target = await openFile(file, "w");
    try {
      const { content, size } = await open(url, silence.signal);
      const meter = new Meter(url, size, log);
      async function* counted(chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          silence.heard();
          hash.update(chunk);
          meter.add(chunk.length);
          yield chunk;
        }
      }
      const image = withRoom(ofImage(content, url), path.dirname(file), url, freeBytes);
      await pipeline(counted(image), target.createWriteStream(), { signal: silence.signal });
    } finally {
      await target.close();
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw failed(url, silence.signal.aborted ? `nothing came for ${silenceSeconds} s` : reasonOf(error as Error));
  } finally {
    silence.end();
  }
  const found = hash.digest("hex");
  if (found !== sha512) throw wrongDigest(url, sha512, found);
  readQcow2(file, url);
}

/** An image's bytes, which are refused as soon as they can be none: a server may send what it likes, for as long as it likes. */
async function* ofImage(content: AsyncIterable<Uint8Array>, url: string): AsyncIterable<Uint8Array> {
  let start = Buffer.alloc(0);
  for await (const chunk of content) {
    if (start.length < headerLength) {
      start = Buffer.concat([start, chunk.subarray(0, headerLength - start.length)]);
      if (start.length === headerLength) standalone(start, url);
    }
    yield chunk;
  }
}

/** Passes on what there is room for: the folder is on a disk that others need too. */
async function* withRoom(
  content: AsyncIterable<Uint8Array>,
  folder: string,
  url: string,
  freeBytes: (folder: string) => Promise<number>,
): AsyncIterable<Uint8Array> {
  let unlooked = lookEvery;
  for await (const chunk of content) {
    unlooked += chunk.length;
    if (unlooked >= lookEvery) {
      unlooked = 0;
      if ((await freeBytes(folder)) < leastFree) throw noRoom(url, folder);
    }
    yield chunk;
  }
}

async function freeBytesIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** What is to be fetched, and of how many bytes, if that is known. */
interface Incoming {
  content: AsyncIterable<Uint8Array>;
  size: number | undefined;
}

async function open(url: string, signal: AbortSignal): Promise<Incoming> {
  if (url.startsWith("file:")) {
    const file = fileURLToPath(url);
    return { size: statSync(file).size, content: createReadStream(file) };
  }
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  // By HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which Node's own does not look at. A tunnel to another port than 443 few proxies allow.
  const dispatcher = new EnvHttpProxyAgent({ proxyTunnel: false });
  const response = await fetch(url, { signal, dispatcher });
  if (!response.ok || !response.body)
    throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
  const size = Number(response.headers.get("content-length")) || undefined;
  // Not made a stream of Node's here: that one fails by itself, before anybody listens, when the server hangs up at once.
  return { size, content: response.body };
}

/** Aborts when nothing was heard for a while. */
class Silence {
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;
  readonly signal = this.controller.signal;

  constructor(seconds: number) {
    this.timer = setTimeout(() => this.controller.abort(), seconds * 1000);
  }

  heard(): void {
    this.timer.refresh();
  }

  end(): void {
    clearTimeout(this.timer);
  }
}

/** Says now and then how much has come. */
class Meter {
  private bytes = 0;
  private readonly started = performance.now();
  private said = this.started;

  private readonly url: string;
  private readonly size: number | undefined;
  private readonly log: (line: string) => void;

  constructor(url: string, size: number | undefined, log: (line: string) => void) {
    this.url = url;
    this.size = size;
    this.log = log;
    log(`fetching ${url}`);
  }

  add(bytes: number): void {
    this.bytes += bytes;
    if (performance.now() - this.said < progressSeconds * 1000) return;
    this.said = performance.now();
    const of = this.size ? ` of ${Math.round(this.size / MiB)}` : "";
    this.log(
      `fetching ${this.url}: ${Math.round(this.bytes / MiB)}${of} MiB, ${Math.round((this.said - this.started) / 1000)} s`,
    );
  }
}

function reasonOf(error: Error & { code?: string; cause?: unknown }): string {
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause?.message || cause?.code || error.message;
}

function failed(url: string, reason: string): UserError {
  const isProxied = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"].some((name) => process.env[name]);
  const proxy = isProxied ? ", the network and the proxy that HTTP_PROXY or HTTPS_PROXY names" : " and the network";
  const remedy = `check the address${proxy}, then run it again`;
  return new UserError("The image could not be fetched.", [{ path: url, rule: `must be had, but: ${reason}`, remedy }]);
}

function noRoom(url: string, folder: string): UserError {
  const rule = `must leave ${formatSize(leastFree)} free in ${folder}`;
  const remedy = "free space there, or set XDG_CACHE_HOME to a folder on another disk";
  return new UserError("The image could not be fetched.", [{ path: url, rule, remedy }]);
}

function wrongDigest(url: string, wanted: string, found: string): UserError {
  return new UserError("The image is not the one that was asked for, and is not used.", [
    {
      path: url,
      rule: `must have the SHA-512 ${wanted}, but has ${found}`,
      remedy: "if the publisher has put up a new image, take its digest from the SHA512SUMS beside it",
    },
  ]);
}
