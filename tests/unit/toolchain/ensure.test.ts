import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../config/errors.ts";
import { buildGoPiece, clock, ensurePiece } from "../../../toolchain/ensure/build.ts";
import { layOut } from "../../../toolchain/ensure/layout.ts";
import { downloadPlugins, findPulumi, installPulumi, isAtLeast, unusable } from "../../../toolchain/ensure/official.ts";
import { bundlePieces, type GoPiece, goPieces } from "../../../toolchain/ensure/pieces.ts";
import { cacheFolder, checkoutFolder, digestOf } from "../../../toolchain/ensure/places.ts";
import { ensureToolchain, toolchainEnvironment } from "../../../toolchain/ensure/toolchain.ts";
import * as versions from "../../../toolchain/plugin/version.ts";

let folder: string;
let lines: string[];
const log = (line: string) => void lines.push(line);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ensure-"));
  lines = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Puts a shell script where a program is looked for. */
function program(path: string, ...script: string[]): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, ["#!/bin/sh", ...script, ""].join("\n"));
  chmodSync(file, 0o755);
  return file;
}

/** A CLI that is as good as official: version, plugins, nothing else. */
function officialPulumi(path: string, version = `v${versions.pulumiVersion}`): void {
  program(`${path}/pulumi`, `[ "$1" = version ] && echo ${version}`, `echo "$@" >>'${folder}/calls'`, "exit 0");
  program(`${path}/pulumi-language-nodejs`);
}

test("one version everywhere: the sources, go.mod, the npm packages, the SDK", () => {
  const read = (path: string) => readFileSync(join(checkoutFolder, path), "utf8");
  const json = (path: string) => JSON.parse(read(path));
  expect(json("node_modules/@pulumi/pulumi/package.json").version).toBe(versions.pulumiVersion);
  expect(json("node_modules/@pulumi/command/package.json").version).toBe(versions.commandVersion);
  expect(json("node_modules/@pulumi/tailscale/package.json").version).toBe(versions.tailscaleVersion);
  expect(json("sdks/libvirt/package.json").version).toBe(versions.libvirtVersion);
  expect(json("sdks/libvirt/package.json").pulumi.version).toBe(versions.bridgeVersion);
  expect(read("toolchain/pulumi/go.mod")).toContain(`github.com/pulumi/pulumi/pkg/v3 v${versions.pulumiVersion}`);
  expect(read("toolchain/libvirt/go.mod")).toContain(`terraform-provider-libvirt v${versions.libvirtVersion}`);
});

describe("an official Pulumi on PATH", () => {
  test.each<[string, string, boolean]>([
    ["3.250.0", "3.250.0", true],
    ["3.251.0", "3.250.0", true],
    ["4.0.0", "3.250.0", true],
    ["3.249.9", "3.250.0", false],
    ["2.300.0", "3.250.0", false],
  ])("%s is at least %s: %s", (version, wanted, expected) => {
    expect(isAtLeast(version, wanted)).toBe(expected);
  });

  test("the first one that is not ours", () => {
    const ours = join(folder, "cache/abc/bin");
    for (const place of ["cache/abc/bin/pulumi", "one/pulumi", "two/pulumi"]) program(place);
    const path = [ours, join(folder, "none"), join(folder, "one"), join(folder, "two")].join(":");
    expect(findPulumi(path, join(folder, "cache"))?.folder).toBe(join(folder, "one"));
    expect(findPulumi(ours, join(folder, "cache"))).toBeUndefined();
  });

  test("new enough, with its language host", () => {
    officialPulumi("new");
    expect(unusable(join(folder, "new"), "")).toBeUndefined();
    expect(unusable(join(folder, "new"), "/bin")).toBeUndefined();
  });

  test.each<[string, string[], string]>([
    ["too old", ["echo v3.100.0"], `is 3.100.0, and ${versions.pulumiVersion} or newer is needed`],
    ["something else", ["echo hello"], "does not tell its version"],
    ["broken", ["exit 1"], "does not tell its version"],
    ["incomplete", ["echo v3.250.0"], "comes without pulumi-language-nodejs"],
  ])("%s", (_, script, expected) => {
    program("bin/pulumi", ...script);
    expect(unusable(join(folder, "bin"), "/bin")).toBe(expected);
  });
});

describe("the official installer", () => {
  let server: Server | undefined;
  afterAll(() => server?.close());

  async function serve(status: number, body: string): Promise<string> {
    server?.close();
    server = createServer((_, response) => response.writeHead(status).end(body));
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test("installs the pinned version into a folder of ours, once", async () => {
    const script = `mkdir -p "$4/bin"; echo "$@" > "$4/bin/pulumi"`;
    const address = await serve(200, script);
    const target = join(folder, "official");
    expect(await installPulumi(target, log, address)).toBe(join(target, "bin"));
    expect(readFileSync(join(target, "bin/pulumi"), "utf8")).toMatch(
      new RegExp(`^--version ${versions.pulumiVersion} --install-root .* --no-edit-path\\n$`),
    );
    expect(await installPulumi(target, log, "http://nowhere.invalid")).toBe(join(target, "bin"));
    expect(lines).toEqual([`installing Pulumi ${versions.pulumiVersion} by its official installer`]);
  });

  test.each<[string, () => Promise<string>, RegExp]>([
    [
      "a name that does not resolve",
      async () => "http://nowhere.invalid",
      /^nowhere\.invalid, the official installer, cannot be used here \(\w+\): going on without$/,
    ],
    ["nobody there", async () => "http://127.0.0.1:1", /^127\.0\.0\.1:1, .*: going on without$/],
    ["an answer that is none", () => serve(503, "later"), /cannot be used here \(it answers 503\): going on without$/],
    [
      "a script that fails",
      () => serve(200, "echo 'no room' >&2; exit 1"),
      /cannot be used here \(no room\): going on without$/,
    ],
    ["a script that does nothing", () => serve(200, "exit 0"), /\(it left no bin\/pulumi behind\): going on without$/],
  ])("%s: one line, nothing left behind", async (_, address, expected) => {
    expect(await installPulumi(join(folder, "official"), log, await address())).toBeUndefined();
    expect(lines.at(-1)).toMatch(expected);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("the official CLI downloads its plugins, once", async () => {
    officialPulumi("bin");
    const home = join(folder, "home");
    expect(await downloadPlugins(join(folder, "bin"), home, log)).toBe(true);
    expect(await downloadPlugins(join(folder, "bin"), home, log)).toBe(true);
    expect(readFileSync(join(folder, "calls"), "utf8").trim().split("\n")).toEqual([
      `plugin install resource command ${versions.commandVersion}`,
      `plugin install resource tailscale ${versions.tailscaleVersion}`,
      `package get-schema terraform-provider@${versions.bridgeVersion} dmacvicar/libvirt ${versions.libvirtVersion}`,
    ]);
  });

  test("plugins that cannot be downloaded", async () => {
    program("bin/pulumi", "echo 'error: no such host' >&2; exit 1");
    expect(await downloadPlugins(join(folder, "bin"), join(folder, "home"), log)).toBe(false);
    expect(lines.at(-1)).toBe("the official plugins cannot be downloaded here (error: no such host): going on without");
  });
});

describe("what is built", () => {
  const piece = { name: "it", title: "it", digest: "0123" };

  test("a piece is made once, and a half one is made anew", async () => {
    let made = 0;
    const make = async (place: string) => {
      made++;
      writeFileSync(join(place, "it"), "");
      if (made === 1) throw new Error("interrupted");
    };
    await expect(ensurePiece(folder, piece, make)).rejects.toThrow("interrupted");
    expect(existsSync(join(folder, "it-0123"))).toBe(false);
    expect(await ensurePiece(folder, piece, make)).toBe(join(folder, "it-0123"));
    await ensurePiece(folder, piece, make);
    expect(made).toBe(2);
    expect(readdirSync(folder)).toEqual(["it-0123"]);
  });

  const goPiece = (): GoPiece => ({ ...(goPieces()[2] as GoPiece) });

  test("go builds what is pinned, and what of the user's settings could change it is off", async () => {
    program("go", `echo "$CGO_ENABLED $GOFLAGS $GOWORK $@ $PWD" >"${folder}/call"`);
    vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
    vi.stubEnv("GOFLAGS", "-mod=mod");
    await buildGoPiece(goPiece(), folder, "1 of 3", log);
    expect(readFileSync(join(folder, "call"), "utf8").trim()).toBe(
      `0  off build -trimpath -buildvcs=false -ldflags=-s -w -X main.version=0.8.3 -o ${folder}/terraform-provider-libvirt github.com/dmacvicar/terraform-provider-libvirt ${checkoutFolder}/toolchain/libvirt`,
    );
    expect(lines).toEqual([
      "building the libvirt provider from Go modules (1 of 3), about half a minute the first time",
      "built the libvirt provider in 00:00",
    ]);
  });

  test("a build that fails shows the end of what it said", async () => {
    program("go", "for i in $(seq 1 20); do echo line $i >&2; done", "exit 2");
    vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
    const message = [
      "the libvirt provider could not be built (go build, exit status 2):",
      ...Array.from({ length: 15 }, (_, index) => `  line ${index + 6}`),
    ].join("\n");
    await expect(buildGoPiece(goPiece(), folder, "1 of 3", log)).rejects.toThrow(new UserError(message));
  });

  test("without Go the remedy is told", async () => {
    vi.stubEnv("PATH", folder);
    await expect(buildGoPiece(goPiece(), folder, "1 of 3", log)).rejects.toThrow(
      "Install Go 1.26 or newer (apt-get install golang-go, or https://go.dev/dl), or Pulumi (https://www.pulumi.com/docs/install).",
    );
  });

  test("each piece has a digest of its own", () => {
    const digests = [...goPieces(), ...bundlePieces()].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(6);
    expect(digestOf(["ab", "c"])).not.toBe(digestOf(["a", "bc"]));
  });

  test("the layout is the one that the engine looks for", () => {
    const pieces = Object.fromEntries(
      [...goPieces(), ...bundlePieces()].map(({ name }) => [
        name,
        dirname(program(`pieces/${name}/${name}`, "echo $0")),
      ]),
    );
    layOut(join(folder, "made"), join(folder, "place"), pieces);
    const files = readdirSync(join(folder, "made"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, "made/").length));
    const provider = "home/dynamic_tf_plugins/registry.opentofu.org/dmacvicar/libvirt/0.8.3/linux_amd64";
    expect(files.sort()).toEqual([
      "bin/pulumi",
      "bin/pulumi-language-nodejs",
      `${provider}/terraform-provider-libvirt_v0.8.3`,
      "home/plugins/resource-command-v1.2.1/pulumi-resource-command",
      "home/plugins/resource-tailscale-v0.29.1/pulumi-resource-tailscale",
      "home/plugins/resource-terraform-provider-v1.1.3/pulumi-resource-terraform-provider",
      "libexec/terraform-provider-libvirt",
    ]);
    expect(readFileSync(join(folder, "made", provider, "terraform-provider-libvirt_v0.8.3"), "utf8")).toContain(
      `exec setpriv --pdeathsig KILL '${folder}/place/libexec/terraform-provider-libvirt' "$@"`,
    );
  });
});

describe("the toolchain", () => {
  test("with an official Pulumi: it, its plugins, a PULUMI_HOME of ours; two at once do the work once", async () => {
    officialPulumi("usr/bin");
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    vi.stubEnv("PATH", `${join(folder, "usr/bin")}:${process.env.PATH}`);
    expect(() => toolchainEnvironment()).toThrow("The Pulumi toolchain is not there yet.\n  make prepare makes it.");
    const [first, second] = await Promise.all([ensureToolchain(log), ensureToolchain(log)]);
    expect(first).toEqual(second);
    expect(lines.filter((line) => line.startsWith("downloading"))).toHaveLength(1);
    const environment = toolchainEnvironment();
    expect(environment.PATH?.split(":")[0]).toBe(join(folder, "usr/bin"));
    expect(environment).toMatchObject({
      PULUMI_HOME: join(cacheFolder(), "official-home"),
      PULUMI_SKIP_UPDATE_CHECK: "1",
    });
    expect(environment.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION).toBeUndefined();
  });

  test("a lock that nobody has released is waited for, and said so", async () => {
    officialPulumi("usr/bin");
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    vi.stubEnv("PATH", `${join(folder, "usr/bin")}:${process.env.PATH}`);
    mkdirSync(`${cacheFolder()}.lock`, { recursive: true });
    const ensured = ensureToolchain(log);
    await expect.poll(() => lines).toContain("another run is making the toolchain, waiting … 00:00");
    rmSync(`${cacheFolder()}.lock`, { recursive: true });
    await ensured;
  });
});

test.each<[number, string]>([
  [0, "00:00"],
  [164_000, "02:44"],
  [3_600_000, "60:00"],
])("%i ms is %s", (milliseconds, expected) => {
  expect(clock(milliseconds)).toBe(expected);
});
