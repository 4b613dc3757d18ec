import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkoutEnvironment } from "../../../src/checkout/checkout.ts";
import { changeOwn, programEnvironment } from "../../../src/core/program-environment.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { buildImage } from "../../../src/images/build.ts";
import { debianTesting } from "../../../src/images/recipe.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { virshFor, virshSession } from "../../../src/libvirt/virsh.ts";
import { runCaptured, runInForeground } from "../../../src/operations/foreground.ts";
import { buildGoPiece } from "../../../toolchain/ensure/build.ts";
import { goPiece } from "../../../toolchain/ensure/pieces.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({ PULUMI_HOME: "/home of ours" }) }));
vi.mock("../../../src/core/programs.ts", () => ({
  requireRoot: () => undefined,
  requirePrograms: async () => undefined,
}));

/** What a user may have exported for something else; `kept` is for this product too. */
const odd = {
  PULUMI_OPTION_TARGET: "urn:nothing",
  PULUMI_SKIP_CHECKPOINTS: "true",
  PULUMI_DIY_BACKEND_LEGACY_LAYOUT: "true",
  PULUMI_NODEJS_DRY_RUN: "true",
  PULUMI_HOME: "/odd",
  PULUMI_CONFIG_PASSPHRASE: "",
  PULUMI_CONFIG_PASSPHRASE_FILE: "/odd",
  PULUMI_ACCESS_TOKEN: "kept",
  PULUMI_DEBUG_GRPC: "kept",
  PROJECT_VMS_RECORDS: "1",
  TF_REATTACH_PROVIDERS: "{}",
  TF_LIBVIRT_RNG_DEV: "/dev/odd",
  TERRAFORM_LIBVIRT_TEST_DOMAIN_TYPE: "odd",
  TF_LOG: "kept",
  TS_NODE_PROJECT: "/odd",
  LIBVIRT_DEFAULT_URI: "odd:///",
  LIBVIRT_DEBUG: "1",
  LIBVIRT_LOG_OUTPUTS: "1:stderr",
  LIBVIRT_AUTH_FILE: "/kept",
  VIRSH_DEBUG: "0",
  VIRSH_DEFAULT_CONNECT_URI: "odd:///",
  INPUTRC: "kept",
  COLUMNS: "5",
  TMPDIR: "/odd/gone",
  LANG: "tr_TR.UTF-8",
  LC_ALL: "xx_YY",
  LC_MESSAGES: "de_DE.UTF-8",
  LANGUAGE: "de",
  GIT_DIR: "/odd",
  GIT_WORK_TREE: "/odd",
  GIT_INDEX_FILE: "/odd",
  GIT_SSH_COMMAND: "kept",
  http_proxy: "http://kept:3128",
  HTTPS_PROXY: "http://kept:3128",
  NO_PROXY: "inside, .corp",
  grpc_proxy: "http://odd:3128",
  NODE_OPTIONS: '--require "./odd one.js" --enable-source-maps --inspect-brk=0 -r ./odd.js --import=./odd.mjs',
  NODE_EXTRA_CA_CERTS: "/kept",
  NODE_ENV: "production",
  npm_config_omit: "dev",
  NPM_CONFIG_DRY_RUN: "true",
  npm_config_registry: "http://kept",
  BASH_ENV: "/odd",
  CDPATH: "/odd",
  POSIXLY_CORRECT: "1",
  DF_BLOCK_SIZE: "human-readable",
  QUOTING_STYLE: "c",
  GOFLAGS: "-mod=vendor",
  GOOS: "plan9",
  GOARCH: "mips",
  GOROOT: "/odd",
  GO111MODULE: "off",
  GOPROXY: "http://kept",
} satisfies NodeJS.ProcessEnv;
type Name = keyof typeof odd | "no_proxy" | "XDG_CACHE_HOME" | "SSH_ASKPASS_REQUIRE" | "CGO_ENABLED" | "GOWORK";

/** What is the same for every kind of program. */
const forAll = {
  TMPDIR: undefined,
  NODE_OPTIONS: "--enable-source-maps",
  NO_PROXY: "inside,.corp,127.0.0.1,localhost,::1",
  no_proxy: "inside,.corp,127.0.0.1,localhost,::1",
};
const withoutLibvirt = {
  LIBVIRT_DEFAULT_URI: undefined,
  LIBVIRT_DEBUG: undefined,
  LIBVIRT_LOG_OUTPUTS: undefined,
  VIRSH_DEBUG: undefined,
  VIRSH_DEFAULT_CONNECT_URI: undefined,
};
const english = { LC_ALL: "C.UTF-8", LANGUAGE: "" };
const withoutGit = { GIT_DIR: undefined, GIT_WORK_TREE: undefined, GIT_INDEX_FILE: undefined };
const plainShell = {
  BASH_ENV: undefined,
  CDPATH: undefined,
  POSIXLY_CORRECT: undefined,
  DF_BLOCK_SIZE: undefined,
  QUOTING_STYLE: undefined,
};
const forEngine = {
  ...forAll,
  ...withoutLibvirt,
  ...withoutGit,
  PULUMI_OPTION_TARGET: undefined,
  PULUMI_SKIP_CHECKPOINTS: undefined,
  PULUMI_DIY_BACKEND_LEGACY_LAYOUT: undefined,
  PULUMI_NODEJS_DRY_RUN: undefined,
  PULUMI_HOME: "/home of ours",
  PULUMI_CONFIG_PASSPHRASE: undefined,
  TF_REATTACH_PROVIDERS: undefined,
  TF_LIBVIRT_RNG_DEV: undefined,
  TERRAFORM_LIBVIRT_TEST_DOMAIN_TYPE: undefined,
  TS_NODE_PROJECT: undefined,
  grpc_proxy: undefined,
  PROJECT_VMS_RECORDS: undefined,
};
const forVirsh = {
  ...forAll,
  ...withoutLibvirt,
  ...english,
  XDG_CACHE_HOME: "/dev/null",
  INPUTRC: "/dev/null",
  COLUMNS: undefined,
  SSH_ASKPASS_REQUIRE: "never",
};
const forScripts = {
  ...forAll,
  ...withoutLibvirt,
  ...english,
  ...withoutGit,
  ...plainShell,
  SSH_ASKPASS_REQUIRE: "never",
};
const forTerminal = { ...forAll, ...withoutLibvirt };
const forBuilds = {
  ...forAll,
  ...withoutGit,
  ...plainShell,
  NODE_ENV: undefined,
  npm_config_omit: undefined,
  NPM_CONFIG_DRY_RUN: undefined,
  CGO_ENABLED: "0",
  GO111MODULE: "on",
  GOFLAGS: "-mod=readonly",
  GOOS: "linux",
  GOARCH: process.arch === "x64" ? "amd64" : process.arch,
  GOROOT: undefined,
  GOWORK: "off",
};

let dir: string;
const before = { ...process.env };
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "exported-"));
  mkdirSync(path.join(dir, "bin"));
  writeFileSync(
    path.join(dir, "Pulumi.yaml"),
    "name: project-vms\nruntime: nodejs\nbackend: {url: file://./.local/state}\n",
  );
  for (const name of ["virsh", "ssh", "scp", "go", "npm", "node", "tsc", "pulumi", "apt-get", "setpriv"]) fake(name);
  Object.assign(process.env, odd, { PATH: `${dir}/bin:${before.PATH}` });
});
afterEach(() => {
  vi.restoreAllMocks();
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  rmSync(dir, { recursive: true });
});

/** A program that notes what it is given. */
function fake(name: string): void {
  const answers: Record<string, string> = {
    pulumi: `echo "$*: $PROJECT_VMS_RECORDS" >>'${dir}/pulumi.records'; echo v3.250.0`,
    "apt-get": "echo Packages http://mirror/debian",
    setpriv: "umask >&2; exit 1",
  };
  const text = `#!/bin/sh\n/usr/bin/env >'${dir}/${name}'\necho "$*" >'${dir}/${name}.words'\n${answers[name] ?? ""}\n`;
  writeFileSync(path.join(dir, "bin", name), text, { mode: 0o755 });
}

/** Which of the odd values, and of those that are set, are other ones for a program than they were exported; `undefined`: cleared. */
function changesIn(text: string): Partial<Record<Name, string | undefined>> {
  const given = new Map(text.split("\n").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]));
  const names = [...Object.keys(odd), "no_proxy", "XDG_CACHE_HOME", "SSH_ASKPASS_REQUIRE", "CGO_ENABLED", "GOWORK"];
  const changed = names.filter((name) => given.get(name) !== { ...before, ...odd }[name]);
  return Object.fromEntries(changed.map((name) => [name, given.get(name)]));
}
const changesFor = (program: string) => changesIn(readFileSync(path.join(dir, program), "utf8"));
const silent = () => undefined;

describe("whatever the user has exported", () => {
  test("virsh is given none of it that changes its answers", async () => {
    await virshFor("test:///default").run("list").catch(silent);
    expect(changesFor("virsh")).toStrictEqual(forVirsh);
  });

  test("the real virsh answers as ever", async () => {
    rmSync(path.join(dir, "bin/virsh"));
    const [answer] = await virshSession("test:///default", [["domstate", "test"]]);
    expect(answer).toMatchObject({ ok: true, output: "running" });
  });

  test("nor does a file of the user's settings for line editing change what the real virsh is asked, or its answers", async () => {
    rmSync(path.join(dir, "bin/virsh"));
    const settings = 'set editing-mode vi\nset show-mode-in-prompt on\n"jj": vi-movement-mode\n';
    writeFileSync(path.join(dir, ".inputrc"), settings);
    const asked = { destroy: "failed to get domain 'testjj'", domstate: "failed to get domain 'testjj'" };
    for (const place of [{ INPUTRC: `${dir}/.inputrc` }, { INPUTRC: undefined, HOME: dir }]) {
      changeOwn(place);
      const virsh = virshFor("test:///default", 8);
      expect(await virsh.runPrivately("domstate", "test")).toBe("running");
      for (const [verb, refusal] of Object.entries(asked))
        await expect(virsh.runPrivately(verb, "testjj")).rejects.toThrow(refusal);
    }
  });

  test("ssh to a host, scripts and what runs to its end have no odd shell, locale or folder", async () => {
    await shellFor("qemu+ssh://root@storage/system").run(["true"]);
    expect(changesFor("ssh")).toStrictEqual(forScripts);
    const shell = shellFor("qemu:///system");
    expect(changesIn(await shell.run(["env"]))).toStrictEqual(forScripts);
    expect(changesIn(await shell.run(["env"], { toTheEnd: true }))).toStrictEqual(forScripts);
  });

  test("ssh, scp and a console on the user's terminal have the user's locale", async () => {
    await runCaptured(["ssh", "demo"]);
    await runInForeground(["scp", "a", "demo:b"]);
    await runInForeground(["virsh", "console", "demo"]);
    for (const program of ["ssh", "scp", "virsh"]) expect(changesFor(program)).toStrictEqual(forTerminal);
  });

  test("go builds as it would without, and npm finds its registry", async () => {
    const piece = goPiece({ name: "x", title: "x", module: "pulumi", package: "x", variables: {}, expected: "" });
    await buildGoPiece(piece, dir, "1 of 1", silent);
    expect(changesFor("go")).toStrictEqual(forBuilds);
  });

  test("npm installs all packages, also those for development", () => {
    mkdirSync(path.join(dir, "node_modules/.bin"), { recursive: true });
    mkdirSync(path.join(dir, "sdks/libvirt/bin"), { recursive: true });
    writeFileSync(path.join(dir, "node_modules/.bin/tsc"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(path.join(dir, "sdks/libvirt/package.json"), "{}");
    execFileSync(path.resolve("toolchain/node-packages.sh"), { cwd: dir, env: { ...process.env, BASH_ENV: "" } });
    const words = readFileSync(path.join(dir, "npm.words"), "utf8");
    for (const word of ["--ignore-scripts", "--include=dev", "--include=optional", "--no-dry-run", "--no-global"])
      expect(words).toContain(word);
  });

  test.runIf(existsSync("/usr/lib/grub/i386-pc/boot.img") && existsSync("/usr/lib/grub/x86_64-efi/moddep.lst"))(
    "the build of an image is given neither, nor a umask that closes its files to the users of a VM",
    async () => {
      const umask = process.umask(0o077);
      const built = buildImage(debianTesting, path.join(dir, "image.qcow2"), silent);
      await expect(built.finally(() => process.umask(umask))).rejects.toThrow("  | 0022");
      const { GOFLAGS, CGO_ENABLED, GOWORK, ...others } = changesFor("setpriv");
      expect({ GOFLAGS, CGO_ENABLED, GOWORK, ...others }).toStrictEqual(forBuilds);
    },
  );

  test("the engine, and all below it, have their own settings, this checkout's passphrase and a way to each other", async () => {
    await new Engine(dir, "storage", silent).resources().catch(silent);
    const given = readFileSync(path.join(dir, "pulumi"), "utf8");
    expect(changesIn(given)).toStrictEqual({
      ...forEngine,
      PULUMI_CONFIG_PASSPHRASE_FILE: `${dir}/.local/passphrase`,
    });
  });

  test("the command line's own previews ask program and steps for records, and nothing else of this process does", async () => {
    await new Engine(dir, "storage", silent).preview().catch(silent);
    expect(readFileSync(path.join(dir, "pulumi.records"), "utf8")).toMatch(/^preview .*: 1$/m);
    expect(process.env.PROJECT_VMS_RECORDS).toBeUndefined();
  });

  test("what `make env` prints makes a shell like that", async () => {
    vi.spyOn(process, "cwd").mockReturnValue(dir);
    const lines: string[] = [];
    vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
    vi.resetModules();
    process.env["PULUMI_odd.name"] = "1";
    await import("../../../make/env.ts");
    const script = `eval "$1"; rm '${dir}/bin/node'; exec /usr/bin/env`;
    const env = { ...process.env, BASH_ENV: "" };
    expect(lines.join("\n")).not.toContain("odd.name");
    const printed = execFileSync("bash", ["-euo", "pipefail", "-c", script, "bash", lines.join("\n")], { env });
    const { BASH_ENV, ...changes } = changesIn(printed.toString());
    expect(changes).toStrictEqual({ ...forEngine, PULUMI_CONFIG_PASSPHRASE_FILE: `${dir}/.local/passphrase` });
  });
});

const passphrases = (environment: NodeJS.ProcessEnv) => {
  const { PULUMI_CONFIG_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE_FILE } = {
    ...environment,
    ...checkoutEnvironment(dir, environment),
  };
  return [PULUMI_CONFIG_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE_FILE];
};

test("what is in another backend may be encrypted by another passphrase", () => {
  const own = `${dir}/.local/passphrase`;
  const elsewhere = { PULUMI_BACKEND_URL: "s3://bucket" };
  expect(passphrases({ PULUMI_CONFIG_PASSPHRASE: "mine" })).toEqual([undefined, own]);
  expect(passphrases(elsewhere)).toEqual([undefined, own]);
  expect(passphrases({ ...elsewhere, PULUMI_CONFIG_PASSPHRASE: "" })).toEqual(["", undefined]);
  expect(passphrases({ ...elsewhere, PULUMI_CONFIG_PASSPHRASE_FILE: "/mine" })).toEqual([undefined, "/mine"]);
});

test.each([
  ["a folder that is there", () => before.TMPDIR ?? "", true],
  ["no absolute path", () => ".", false],
  ["a file", () => path.join(dir, "Pulumi.yaml"), false],
  ["a path that leaves no room for a socket's name", () => deep(), false],
])("a TMPDIR that is %s", (_, TMPDIR, isKept) => {
  expect("TMPDIR" in programEnvironment("script", { TMPDIR: TMPDIR() })).toBe(isKept);
});

function deep(): string {
  const folder = path.join(dir, "x".repeat(63));
  mkdirSync(folder);
  return folder;
}

test.each([
  ["--max-old-space-size=4096", "--max-old-space-size=4096"],
  ["--inspect", undefined],
  ["--require=/x.js --loader ./y.mjs --no-warnings", "--no-warnings"],
  ['-r "a \\" b.js" --use-openssl-ca', "--use-openssl-ca"],
])("of NODE_OPTIONS %s there is left %s", (NODE_OPTIONS, left) => {
  expect(programEnvironment("engine", { NODE_OPTIONS }).NODE_OPTIONS).toBe(left);
});

test("without a proxy nothing is said of one", () => {
  expect(programEnvironment("engine", { NO_PROXY: "inside" })).toEqual({ NO_PROXY: "inside" });
});
