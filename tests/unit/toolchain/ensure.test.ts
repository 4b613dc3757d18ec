import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { build } from "esbuild";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { buildGoPiece, clock, ensurePiece } from "../../../toolchain/ensure/build.ts";
import { layOut } from "../../../toolchain/ensure/layout.ts";
import {
  downloadPlugins,
  findPulumi,
  installPulumi,
  isAtLeast,
  type officialRelease,
  unusable,
} from "../../../toolchain/ensure/official.ts";
import { bundlePieces, type GoPiece, goPieces } from "../../../toolchain/ensure/pieces.ts";
import { cacheFolder, checkoutFolder, digestOf } from "../../../toolchain/ensure/places.ts";
import { ensureToolchain, toolchainEnvironment } from "../../../toolchain/ensure/toolchain.ts";
import * as versions from "../../../toolchain/plugin/version.ts";

/** The folder with a file of this name cannot be removed, as while an engine writes its logs there. */
const busy = vi.hoisted(() => ({ file: "" }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const rmSync: typeof fs.rmSync = (path, options) => {
    if (busy.file !== "" && fs.existsSync(`${path}/${busy.file}`)) {
      throw Object.assign(new Error(`ENOTEMPTY: directory not empty, rm '${path}'`), { code: "ENOTEMPTY" });
    }
    fs.rmSync(path, options);
  };
  return { ...fs, rmSync };
});

let folder: string;
let lines: string[];
const log = (line: string) => void lines.push(line);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ensure-"));
  lines = [];
});
afterEach(() => {
  busy.file = "";
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

  test("one of ours stays ours by another path, and a neighbour of the cache is not", () => {
    program("cache/abc/bin/pulumi");
    program("cache-of-mine/pulumi");
    symlinkSync(join(folder, "cache"), join(folder, "link"));
    mkdirSync(join(folder, "home"));
    symlinkSync(join(folder, "cache/abc/bin/pulumi"), join(folder, "home/pulumi"));
    for (const cache of ["cache", "link"].map((name) => join(folder, name))) {
      for (const place of ["cache/abc/bin", "link/abc/bin", "home"])
        expect([place, findPulumi(join(folder, place), cache)]).toEqual([place, undefined]);
      expect(findPulumi(join(folder, "cache-of-mine"), cache)?.folder).toBe(join(folder, "cache-of-mine"));
    }
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

  const arch = process.arch === "arm64" ? "arm64" : "x64";
  const archiveName = `pulumi-v${versions.pulumiVersion}-linux-${arch}.tar.gz`;

  /** An archive as Pulumi's releases have it, with more in it than is used. */
  function archive(...names: string[]): Buffer {
    for (const name of names) program(`release/pulumi/${name}`, `echo ${name}`);
    writeFileSync(join(folder, "release/evil"), "");
    execFileSync("tar", ["-czf", "archive", "pulumi", "evil"], { cwd: join(folder, "release") });
    const made = readFileSync(join(folder, "release/archive"));
    rmSync(join(folder, "release"), { recursive: true });
    return made;
  }
  const whole = () => archive("pulumi", "pulumi-language-nodejs", "pulumi-watch");
  const digestOfArchive = (content: Buffer, algorithm = "sha256") =>
    createHash(algorithm).update(content).digest("hex");

  /** Serves an archive, and a list of checksums. */
  async function serve(content: Buffer | number, checksums: string): Promise<typeof officialRelease> {
    server?.close();
    server = createServer(({ url }, response) => {
      if (url === "/sums") return response.end(checksums);
      if (url !== `/${archiveName}` || typeof content === "number") {
        return response.writeHead(typeof content === "number" ? content : 404).end();
      }
      return response.end(content);
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { archives: address, checksums: `${address}/sums` };
  }

  test.each(["sha256", "sha512"])(
    "installs the two programs of the pinned release, once, by their %s",
    async (algorithm) => {
      const content = whole();
      const others = `${"0".repeat(64)}  pulumi-v${versions.pulumiVersion}-darwin-x64.tar.gz\n`;
      const release = await serve(content, `${others}${digestOfArchive(content, algorithm)}  ${archiveName}\n`);
      const target = join(folder, "official");
      expect(await installPulumi(target, log, release)).toBe(join(target, "bin"));
      expect(readdirSync(target)).toEqual(["bin"]);
      expect(readdirSync(join(target, "bin"))).toEqual(["pulumi", "pulumi-language-nodejs"]);
      expect(await installPulumi(target, log, { archives: "http://nowhere.invalid", checksums: "" })).toBe(
        join(target, "bin"),
      );
      expect(lines).toEqual([`downloading Pulumi ${versions.pulumiVersion}`]);
    },
  );

  const sums = (content: Buffer) => `${digestOfArchive(content)}  ${archiveName}\n`;
  const nowhere = (address: string) => async () => ({ archives: address, checksums: `${address}/sums` });
  test.each<[string, () => Promise<typeof officialRelease>, RegExp]>([
    ["a name that does not resolve", nowhere("http://nowhere.invalid"), /\((ENOTFOUND|EAI_AGAIN)\)/],
    ["nobody there", nowhere("http://127.0.0.1:1"), /\(.+\)/],
    ["an answer that is none", () => serve(503, sums(Buffer.from(""))), /\(127\.0\.0\.1:\d+ answers 503\)/],
    ["a list without it", () => serve(whole(), "\n"), /\(no digest is published for pulumi-v[\w.-]+\)/],
    [
      "an archive of another digest",
      () => serve(whole(), sums(Buffer.from("it"))),
      /has the sha256 \w{64}, and not \w{64} as published/,
    ],
    [
      "an archive that is none",
      async () => {
        const broken = Buffer.from("it");
        return serve(broken, sums(broken));
      },
      /\(.+\)/,
    ],
    [
      "an archive that lacks a program",
      async () => {
        const half = archive("pulumi");
        return serve(half, sums(half));
      },
      /\(.+\)/,
    ],
  ])("%s: one line, nothing left behind", async (_, release, expected) => {
    expect(await installPulumi(join(folder, "official"), log, await release())).toBeUndefined();
    expect(lines.at(-1)).toMatch(/^the official Pulumi cannot be had here \(.*\): going on without$/);
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

  test("a piece is made once, and a half one is recreated", async () => {
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
      `0 -mod=readonly off build -trimpath -buildvcs=false -ldflags=-s -w -X main.version=0.8.3 -o ${folder}/terraform-provider-libvirt github.com/dmacvicar/terraform-provider-libvirt ${checkoutFolder}/toolchain/libvirt`,
    );
    expect(lines).toEqual([
      "building the libvirt provider from Go modules (1 of 3), about half a minute the first time",
      "built the libvirt provider in 00:00",
    ]);
  });

  test("no settings of the user's own are there for the build, not even those in Go's own file", async () => {
    const go = execFileSync("sh", ["-c", "command -v go"], { encoding: "utf8" }).trim();
    program("go", `exec ${go} env GOFLAGS >"${folder}/flags"`);
    writeFileSync(join(folder, "env"), "GOFLAGS=-tags=x\n");
    vi.stubEnv("GOENV", join(folder, "env"));
    expect(execFileSync(go, ["env", "GOFLAGS"], { encoding: "utf8" }).trim()).toBe("-tags=x");
    vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
    await buildGoPiece(goPiece(), folder, "1 of 3", log);
    expect(readFileSync(join(folder, "flags"), "utf8").trim()).toBe("-mod=readonly");
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

  test.each(bundlePieces())("$name has one of all that it is bundled from", async ({ source, shared }) => {
    const { metafile } = await build({
      absWorkingDir: checkoutFolder,
      entryPoints: [`toolchain/${source}/main.ts`],
      bundle: true,
      platform: "node",
      metafile: true,
      write: false,
    });
    const made = [source, ...shared].map((part) => join("toolchain", part));
    const sources = Object.keys(metafile.inputs).filter((file) => !file.startsWith("node_modules/"));
    expect(sources.filter((file) => !made.some((part) => `${file}/`.startsWith(`${part}/`)))).toEqual([]);
  });

  test("the layout is the one that the engine looks for", () => {
    const pieces = Object.fromEntries(
      [...goPieces(), ...bundlePieces()].map(({ name }) => [
        name,
        dirname(program(`pieces/${name}/${name}`, "echo $0")),
      ]),
    );
    const place = join(folder, "it's; the place");
    layOut(join(folder, "made"), place, pieces);
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
    const starter = join(provider, "terraform-provider-libvirt_v0.8.3");
    expect(readFileSync(join(folder, "made", starter), "utf8")).toContain(
      `exec setpriv --pdeathsig KILL '${folder}/it'\\''s; the place/libexec/terraform-provider-libvirt' "$@"`,
    );
    renameSync(join(folder, "made"), place);
    expect(execFileSync(join(place, starter), { encoding: "utf8" })).toBe(
      `${place}/libexec/terraform-provider-libvirt\n`,
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

  test("whose cache was moved is laid out again where it is now", async () => {
    officialPulumi("usr/bin");
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    vi.stubEnv("PATH", `${join(folder, "usr/bin")}:${process.env.PATH}`);
    await ensureToolchain(log);
    renameSync(join(folder, "cache"), join(folder, "moved"));
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "moved"));
    expect(() => toolchainEnvironment()).toThrow("The Pulumi toolchain is not there yet.");
    expect((await ensureToolchain(log)).home).toBe(join(cacheFolder(), "official-home"));
    expect(toolchainEnvironment().PULUMI_HOME).toContain(join(folder, "moved"));
  });

  test("whose cache is reached by a link is the same one, and stays as it is", async () => {
    officialPulumi("usr/bin");
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    vi.stubEnv("PATH", `${join(folder, "usr/bin")}:${process.env.PATH}`);
    await ensureToolchain(log);
    const place = dirname(noted());
    writeFileSync(join(place, "in-use"), "");
    symlinkSync(join(folder, "cache"), join(folder, "link"));
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "link"));
    vi.stubEnv("PATH", `${join(folder, "link/project-vms/toolchain/bin")}:${process.env.PATH}`);
    expect(toolchainEnvironment().PATH).not.toContain(join(folder, "link"));
    await ensureToolchain(log);
    expect(existsSync(join(place, "in-use"))).toBe(true);
    // One that was noted by its link, as earlier versions did.
    const text = readFileSync(noted(), "utf8");
    writeFileSync(noted(), text.replace(`"place": "${folder}/cache/`, `"place": "${folder}/link/`));
    expect(readFileSync(noted(), "utf8")).not.toBe(text);
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    await ensureToolchain(log);
    expect(existsSync(join(place, "in-use"))).toBe(true);
  });

  test("that is replaced under an engine at work is whole at its place, and what could not be removed is none", async () => {
    officialPulumi("usr/bin");
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    vi.stubEnv("PATH", `${join(folder, "usr/bin")}:${process.env.PATH}`);
    await ensureToolchain(log);
    const cache = cacheFolder();
    const place = dirname(noted());
    writeFileSync(noted(), readFileSync(noted(), "utf8").replace(place, "/elsewhere"));
    writeFileSync(join(place, "in-use"), "");
    busy.file = "in-use";
    await ensureToolchain(log);
    expect(toolchainEnvironment().PULUMI_HOME).toBe(join(cache, "official-home"));
    expect(readdirSync(place)).toEqual(["toolchain.json"]);
    const old = () => readdirSync(cache).filter((name) => name.startsWith(`${basename(place)}.`));
    expect(old()).toHaveLength(1);
    busy.file = "";
    writeFileSync(noted(), readFileSync(noted(), "utf8").replace(place, "/elsewhere"));
    await ensureToolchain(log);
    expect(old()).toEqual([]);
  });

  /** The only toolchain's note. */
  function noted(): string {
    const places = readdirSync(cacheFolder()).map((name) => join(cacheFolder(), name, "toolchain.json"));
    const [file = ""] = places.filter((one) => /^[0-9a-f]+$/.test(basename(dirname(one))) && existsSync(one));
    return file;
  }

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

  test("the lock of one that was killed before the clock was set back is taken over", async () => {
    officialPulumi("usr/bin");
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    vi.stubEnv("PATH", `${join(folder, "usr/bin")}:${process.env.PATH}`);
    mkdirSync(`${cacheFolder()}.lock`, { recursive: true });
    const ahead = Date.now() / 1000 + 3600;
    utimesSync(`${cacheFolder()}.lock`, ahead, ahead);
    const now = performance.now.bind(performance);
    const spy = vi.spyOn(performance, "now").mockImplementation(() => 10 * now());
    await ensureToolchain(log);
    spy.mockRestore();
    expect(existsSync(`${cacheFolder()}.lock`)).toBe(false);
  });
});

test.each<[number, string]>([
  [0, "00:00"],
  [164_000, "02:44"],
  [3_600_000, "60:00"],
])("%i ms is %s", (milliseconds, expected) => {
  expect(clock(milliseconds)).toBe(expected);
});
