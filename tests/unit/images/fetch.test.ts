import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { ImageCache } from "../../../src/images/cache.ts";
import { fetchImage } from "../../../src/images/fetch.ts";
import { ensureImage } from "../../../src/images/image.ts";

const dir = mkdtempSync(path.join(tmpdir(), "fetch-"));
const source = path.join(dir, "source.qcow2");
let server: Server;
let serve: RequestListener;
let requests: number;
let base: string;
let cache: ImageCache;

beforeAll(async () => {
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", source, "64M"]);
  server = createServer((request, response) => {
    requests++;
    serve(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});
const proxyVariables = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
afterEach(() => vi.unstubAllEnvs());
beforeEach(() => {
  for (const name of proxyVariables) vi.stubEnv(name, "");
  requests = 0;
  cache = new ImageCache(mkdtempSync(path.join(dir, "cache-")));
  serve = (_request, response) => response.end(readFileSync(source));
});

const digestOf = (content: Buffer | string) => createHash("sha512").update(content).digest("hex");
const ensure = (url: string, sha512: string) => ensureImage({ kind: "url", url, sha512 }, () => undefined, cache);

describe("a published image", () => {
  test("is fetched once, kept read-only under a name that tells its contents, and found at once after that", async () => {
    const sha512 = digestOf(readFileSync(source));
    const image = await ensure(`${base}/x.qcow2`, sha512);
    expect(image).toEqual({
      file: path.join(cache.dir, `debian-testing-${sha512.slice(0, 12)}.qcow2`),
      name: `debian-testing-${sha512.slice(0, 12)}.qcow2`,
      sha512,
      virtualSize: 64 * 2 ** 20,
    });
    expect(statSync(image.file).mode & 0o777).toBe(0o444);
    expect(await ensure(`${base}/x.qcow2`, sha512)).toEqual(image);
    expect(requests).toBe(1);
  });

  test("is fetched once by two runs that want it at once", async () => {
    const sha512 = digestOf(readFileSync(source));
    const [one, two] = await Promise.all([ensure(`${base}/x.qcow2`, sha512), ensure(`${base}/x.qcow2`, sha512)]);
    expect(one).toEqual(two);
    expect(requests).toBe(1);
  });

  test("that was altered in the cache is fetched again", async () => {
    const sha512 = digestOf(readFileSync(source));
    const { file } = await ensure(`${base}/x.qcow2`, sha512);
    rmSync(file);
    writeFileSync(file, "something else");
    expect(digestOf(readFileSync((await ensure(`${base}/x.qcow2`, sha512)).file))).toBe(sha512);
    expect(requests).toBe(2);
  });

  test("may be a file of this machine", async () => {
    const sha512 = digestOf(readFileSync(source));
    expect((await ensure(`file://${source}`, sha512)).sha512).toBe(sha512);
  });
});

describe("a proxy", () => {
  let proxy: Server;
  let asked: string[];
  beforeAll(async () => {
    proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.end(readFileSync(source));
    }).on("connect", (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  });
  beforeEach(() => {
    asked = [];
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    for (const name of proxyVariables.filter((variable) => !/no_proxy/i.test(variable))) vi.stubEnv(name, url);
  });
  afterAll(() => proxy.close());

  test("is used where the environment names one", async () => {
    await ensure("http://images.example/x.qcow2", digestOf(readFileSync(source)));
    expect(asked).toEqual(["GET http://images.example/x.qcow2"]);
  });

  test("is asked for a tunnel to https, and is named when that fails", async () => {
    await expect(ensure("https://images.example/x.qcow2", "0".repeat(128))).rejects.toThrow(
      "check the address, the network and the proxy that HTTP_PROXY or HTTPS_PROXY names, then run it again",
    );
    expect(asked).toEqual(["CONNECT images.example:443"]);
  });

  test("is passed by where NO_PROXY says so", async () => {
    vi.stubEnv("NO_PROXY", "127.0.0.1");
    vi.stubEnv("no_proxy", "127.0.0.1");
    await ensure(`${base}/x.qcow2`, digestOf(readFileSync(source)));
    expect([asked, requests]).toEqual([[], 1]);
  });
});

describe("what is refused leaves nothing behind", () => {
  async function refused(url: string, sha512: string, message: string | RegExp) {
    const fetching = ensure(url, sha512);
    await expect(fetching).rejects.toThrow(UserError);
    await expect(fetching).rejects.toThrow(message);
    expect(existsSync(cache.dir) ? readdirSync(cache.dir) : []).toEqual([]);
  }

  test("a wrong digest, naming both", async () => {
    const wanted = "ab".repeat(64);
    const found = digestOf(readFileSync(source));
    await refused(
      `${base}/x.qcow2`,
      wanted,
      [
        "The image is not the one that was asked for, and is not used.",
        `  - ${base}/x.qcow2: must have the SHA-512 ${wanted}, but has ${found}`,
        "    if the publisher has put up a new image, take its digest from the SHA512SUMS beside it",
      ].join("\n"),
    );
  });

  test("an address that is not there", async () => {
    serve = (_request, response) => response.writeHead(404, "Not Found").end();
    await refused(
      `${base}/gone.qcow2`,
      "ab".repeat(64),
      [
        "The image could not be fetched.",
        `  - ${base}/gone.qcow2: must be had, but: the server answers 404 Not Found`,
        "    check the address and the network, then run it again",
      ].join("\n"),
    );
  });

  test("a server that is not there", async () => {
    await refused("http://127.0.0.1:1/x.qcow2", "ab".repeat(64), /must be had, but: .+/);
  });

  test("a download that is cut off", async () => {
    serve = (_request, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      response.write("only this", () => response.destroy());
    };
    await refused(`${base}/x.qcow2`, digestOf("only this"), /must be had, but: .+/);
  });

  // An error that comes before anybody listens would end the whole process: one in seven did, with a stack trace.
  test("a download that is cut off at its beginning, however often", async () => {
    serve = (_request, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      response.write("only this", () => response.destroy());
    };
    for (let time = 0; time < 100; time++) {
      await refused(`${base}/x.qcow2`, digestOf("only this"), /must be had, but: .+/);
    }
  });

  test("what is no qcow2 image", async () => {
    serve = (_request, response) => response.end("<html>Please log in</html>");
    await refused(
      `${base}/x.qcow2`,
      digestOf("<html>Please log in</html>"),
      [
        "The image is not used.",
        `  - ${base}/x.qcow2: must be a qcow2 image, but is something else`,
        "    name the .qcow2 file, not an archive, a raw image or a web page",
      ].join("\n"),
    );
  });

  test("an image that stands on another file of the host", async () => {
    const overlay = path.join(dir, "overlay.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", overlay, "64M"]);
    await refused(`file://${overlay}`, digestOf(readFileSync(overlay)), "must not need another file beside it");
  });

  test("an image whose data is in another file of the host", async () => {
    const image = path.join(dir, "elsewhere.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "data_file=data.raw", image, "64M"], { cwd: dir });
    await refused(`file://${image}`, digestOf(readFileSync(image)), "must not need another file beside it");
  });

  /** Sends without end, and notes how much, until nobody takes it. */
  function endless(start: Buffer): { sent: () => number } {
    let sent = 0;
    serve = (_request, response) => {
      const piece = Buffer.alloc(2 ** 20);
      const more = () => {
        while (!response.destroyed && response.write(sent === 0 ? start : piece)) sent += piece.length;
        sent += piece.length;
      };
      response.on("drain", more);
      more();
    };
    return { sent: () => sent };
  }

  test("a server that sends something else without end, at its first bytes", async () => {
    const { sent } = endless(Buffer.alloc(100));
    await refused(`${base}/x.qcow2`, "ab".repeat(64), "must be a qcow2 image, but is something else");
    expect(sent()).toBeLessThan(64 * 2 ** 20);
  });

  test("an image without end, before the disk is full", async () => {
    endless(readFileSync(source).subarray(0, 2 ** 16));
    const file = path.join(dir, "endless.qcow2");
    let free = 2.1 * 2 ** 30;
    const fetching = fetchImage(
      { url: `${base}/x.qcow2`, sha512: "ab".repeat(64) },
      file,
      () => undefined,
      async () => {
        free -= 64 * 2 ** 20;
        return free;
      },
    );
    await expect(fetching).rejects.toThrow(
      [
        "The image could not be fetched.",
        `  - ${base}/x.qcow2: must leave 2 GiB free in ${dir}`,
        "    free space there, or set XDG_CACHE_HOME to a folder on another disk",
      ].join("\n"),
    );
    expect(statSync(file).size).toBeLessThan(128 * 2 ** 20);
    rmSync(file);
  });
});
