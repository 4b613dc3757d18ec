import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkoutEnvironment } from "../../src/checkout/checkout.ts";
import { type Answer, HttpServer, type Request } from "../unit/tailnet/http-server.ts";
import { Checkout } from "./support/checkout.ts";

/** The real engine and its plugins; the guest is left out, so that each way of a key takes seconds. */
const checkout = new Checkout("tailnet-keys");
const file = path.join(checkout.dir, ".local/key");
const states = path.join(checkout.dir, ".local/state");
const grpcLog = path.join(checkout.dir, ".local/grpc.json");
let server: HttpServer;

const program = `import { load } from "./bin/bundle.js";
const { readyProgram } = await load("tests/e2e/support/tailnet/ready-program.ts");
export default readyProgram;
`;

const minted = "minted-never-to-be-seen";
const domain = "tailnet.test";

/** Both APIs, as far as it takes to make a key. */
function answer({ path: asked }: Request): Answer {
  if (asked.startsWith("/api/v1/user")) return { body: { users: [{ id: "7", name: "vms" }] } };
  if (asked === "/api/v1/preauthkey") return { body: { preAuthKey: { key: minted } } };
  if (asked === "/api/v2/oauth/token") return { body: { access_token: "token-never-to-be-seen" } };
  if (asked === "/api/v2/tailnet/-/keys") return { body: { id: "k1", key: minted } };
  return { status: 404, body: { message: asked } };
}

beforeAll(async () => {
  server = await HttpServer.start();
  server.answer = answer;
  await checkout.create();
  writeFileSync(path.join(checkout.dir, "index.js"), program);
  writeFileSync(file, "in-a-file-never-to-be-seen\n");
  chmodSync(file, 0o600);
});
afterAll(async () => {
  server.close();
  await checkout.remove();
});

interface Way {
  tailnet: () => object;
  /** Secrets of the stack's config. */
  config?: Record<string, string>;
  plain?: Record<string, () => string>;
  environment?: Record<string, string>;
  key: string;
}

const ways: Record<string, Way> = {
  "a key from a file": { tailnet: () => ({ domain, keyFile: file }), key: "in-a-file-never-to-be-seen" },
  "headscale, its API key in the environment": {
    tailnet: () => ({ domain, server: server.url, headscale: { user: "vms" } }),
    environment: { HEADSCALE_API_KEY: "hs-environment-never-to-be-seen" },
    key: minted,
  },
  "headscale, its API key in the config": {
    tailnet: () => ({ domain, server: server.url, headscale: { user: "vms" } }),
    config: { headscaleApiKey: "hs-config-never-to-be-seen" },
    key: minted,
  },
  "the Tailscale API, its key in the environment": {
    tailnet: () => ({ domain }),
    plain: { "tailscale:baseUrl": () => server.url },
    environment: { TAILSCALE_API_KEY: "tskey-environment-never-to-be-seen" },
    key: minted,
  },
  "the Tailscale API, an OAuth client in the config": {
    tailnet: () => ({ domain }),
    plain: { "tailscale:baseUrl": () => server.url, "tailscale:oauthClientId": () => "client" },
    config: { "tailscale:oauthClientSecret": "oauth-config-never-to-be-seen" },
    key: minted,
  },
};

describe("a tailnet's key is in no log of the engine, however much it tells, in no state and in no argument", () => {
  test.each(Object.entries(ways))("%s", async (_, { tailnet, config = {}, plain = {}, environment = {}, key }) => {
    const ran = run(environment);
    rmSync(states, { recursive: true });
    mkdirSync(states);
    writeFileSync(path.join(checkout.dir, "Pulumi.local.yaml"), "config: {}\n");
    checkout.configure({ tailnet: tailnet() });
    await ran("stack", "init", "local");
    for (const [name, value] of Object.entries(plain)) await ran("config", "set", name, value());
    for (const [name, value] of Object.entries(config)) await ran("config", "set", "--secret", name, value);
    const printed = [
      await ran("preview", ...everything),
      await ran("up", "--yes", "--skip-preview", ...everything),
      await ran("stack", "export"),
    ];
    const { taken } = JSON.parse(await ran("stack", "output", "--json"));
    const state = filesBelow(states);
    printed.push(await ran("destroy", "--yes", "--skip-preview", ...everything));

    const digest = createHash("sha256").update(key).digest("hex");
    expect(JSON.parse(taken)).toEqual({ digest, inArguments: [] });
    expect(printed[1]).toContain("Marshaling property for RPC");
    const secrets = [key, minted, "token-never-to-be-seen", ...Object.values(environment), ...Object.values(config)];
    for (const secret of secrets) {
      expect(linesWith(printed.join("\n"), secret)).toEqual([]);
      expect(linesWith(state, secret)).toEqual([]);
    }
    // What goes between the engine and its plugins, as it is: only secrets of the config are in it.
    const grpc = readFileSync(grpcLog, "utf8");
    expect(grpc).toContain("PROJECT_VMS_TAILNET");
    for (const secret of [key, minted, "token-never-to-be-seen", ...Object.values(environment)]) {
      expect(linesWith(grpc, secret)).toEqual([]);
    }
  });
});

const everything = ["--debug", "-v=9", "--logtostderr", "--logflow"];

/** Runs `pulumi` on the stack; what it printed. @throws Error with all of that when it fails */
function run(environment: Record<string, string>) {
  rmSync(grpcLog, { force: true });
  const env = { ...checkoutEnvironment(checkout.dir), ...environment, PULUMI_DEBUG_GRPC: grpcLog, TF_LOG: "TRACE" };
  return async (...args: string[]): Promise<string> => {
    const onStack = args[1] === "init" ? args : [...args, "--stack", "local"];
    const options = { cwd: checkout.dir, all: true, reject: false, stdin: "ignore", env } as const;
    const { exitCode, all, stdout } = await execa("pulumi", [...onStack, "--non-interactive"], options);
    if (exitCode !== 0) throw new Error(`pulumi ${args.join(" ")} failed:\n${all}`);
    return String(args[0] === "stack" ? stdout : all);
  };
}

/** Cut short: enough to see where it comes from. */
const linesWith = (text: string, secret: string) =>
  text
    .split("\n")
    .filter((line) => line.includes(secret))
    .map((line) => line.slice(0, 200));

const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
