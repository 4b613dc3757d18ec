import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checksValidUntil, mirrorIn, requireNoLogin } from "../../../src/images/build.ts";
import { imageIdentity } from "../../../src/images/image.ts";
import { buildEnvironment, claudeCodeFiles, debianTesting, recipeDigest } from "../../../src/images/recipe.ts";

const files = [
  { path: "build.sh", content: "one" },
  { path: "rootfs/etc/x", content: "two" },
];

describe("recipeDigest", () => {
  test("is the same for the same recipe and files, in whatever order", () => {
    expect(recipeDigest(debianTesting, [...files].reverse())).toBe(recipeDigest(debianTesting, files));
  });

  test.each([
    ["another version", { ...debianTesting, claudeCode: "9.9.9" }, files],
    ["another package", { ...debianTesting, packages: [...debianTesting.packages, "hello"] }, files],
    ["an edited file", debianTesting, [{ path: "build.sh", content: "edited" }, files[1] as (typeof files)[0]]],
    ["a renamed file", debianTesting, [{ path: "built.sh", content: "one" }, files[1] as (typeof files)[0]]],
  ])("is another for %s", (_, recipe, changed) => {
    expect(recipeDigest(recipe, changed)).not.toBe(recipeDigest(debianTesting, files));
  });
});

describe("imageIdentity", () => {
  test("of a published image is its digest, wherever it comes from", () => {
    const sha512 = "ab".repeat(64);
    expect(imageIdentity({ kind: "url", url: "https://a/x.qcow2", sha512 })).toBe(`url-${sha512}`);
    expect(imageIdentity({ kind: "url", url: "https://b/y.qcow2", sha512 })).toBe(`url-${sha512}`);
  });

  test("of a built one is that of its recipe", () => {
    expect(imageIdentity({ kind: "build" })).toMatch(/^build-[0-9a-f]{64}$/);
  });
});

describe("mirrorIn", () => {
  test.each([
    [
      "Debian's own repository, not its neighbours",
      "Packages http://m.example/debian-security/\nPackages http://m.example/debian/\n",
      "http://m.example/debian/",
    ],
    [
      "whatever its host",
      "Translations http://m.example/debian/\nPackages https://x.example/some/debian\n",
      "https://x.example/some/debian",
    ],
    ["nothing where there is none", "Packages https://m.example/ubuntu/\n", undefined],
  ])("finds %s", (_, targets, mirror) => {
    expect(mirrorIn(targets)).toBe(mirror);
  });
});

describe("a mirror that asks for a password", () => {
  const script = readFileSync("src/images/build-debian.sh", "utf8").replaceAll("\\\n", " ");

  test("is refused with it in its URI, which the image and arguments of processes have, and the error does not show it", () => {
    expect(() => requireNoLogin("https://builder:s3cr3t@m.example:8443/debian/")).toThrow(
      [
        "The base image could not be built: apt's source of Debian has a password in its URI, which each guest could read.",
        "  - https://m.example:8443/debian/: must have no user and password in /etc/apt/sources.list or /etc/apt/sources.list.d",
        "    put them into a file that only root reads, /etc/apt/auth.conf.d/mirror.conf: machine https://m.example:8443 login <user> password <password>",
      ].join("\n"),
    );
    expect(() => requireNoLogin("http://token@m.example/debian")).toThrow("machine http://m.example login <user>");
  });

  test.each(["http://m.example/debian/", "https://m.example/a@b/debian", "file:/srv/debian", "mirror+http://m/debian"])(
    "is not %s",
    (uri) => expect(() => requireNoLogin(uri)).not.toThrow(),
  );

  test("is asked with what this machine's own apt has for it", () => {
    const [asked = ""] = script.split("\n").filter((line) => /^\s*mmdebstrap /.test(line));
    expect(asked).toContain('--aptopt="Dir::Etc::netrc \\"$logins\\"; Dir::Etc::netrcparts \\"$login_files\\""');
    expect(script).toContain('eval "$(apt-config shell logins Dir::Etc::netrc/f login_files Dir::Etc::netrcparts/d)"');
  });
});

describe("Claude Code", () => {
  interface Locked {
    version: string;
    integrity?: string;
    resolved?: string;
  }
  const lock = JSON.parse(claudeCodeFiles.find(({ name }) => name === "package-lock.json")?.content ?? "");
  const packages = Object.entries<Locked>(lock.packages).filter(([name]) => name !== "");

  test("is locked in all its packages, by digests and from no registry of its own", () => {
    expect(debianTesting.claudeCode).toMatch(/^\d+\.\d+\.\d+$/);
    expect(packages.map(([name]) => name)).toContain("node_modules/@anthropic-ai/claude-code-linux-x64");
    for (const [name, { version, integrity, resolved }] of packages) {
      const wanted = { version: debianTesting.claudeCode, integrity: expect.stringMatching(/^sha512-[\w+/]{86}==$/) };
      expect({ name, version, integrity, resolved }).toEqual({ name, ...wanted, resolved: undefined });
    }
  });
});

describe("what the build of an image runs as root", () => {
  const script = readFileSync("src/images/build-debian.sh", "utf8").replaceAll("\\\n", " ");

  test("is no package's install script, and Go without settings of the user's own", () => {
    const installs = script.split("\n").filter((line) => /\bnpm (ci|i|install)\b/.test(line));
    expect(installs.length).toBeGreaterThan(0);
    for (const line of installs) expect(line).toMatch(/\bnpm ci\b.* --ignore-scripts\b/);
    const builds = script.split("\n").filter((line) => /\bgo (build|install|run)\b/.test(line));
    expect(builds.length).toBeGreaterThan(0);
    for (const line of builds) expect(line).toMatch(/GOFLAGS=-mod=readonly GOWORK=off\s+go build /);
  });
});

describe("how old a mirror may be", () => {
  test("is what Debian says, unless this machine's apt was told otherwise", () => {
    expect(checksValidUntil("")).toBe(true);
    expect(checksValidUntil("checks='true'\n")).toBe(true);
    expect(checksValidUntil("checks='false'\n")).toBe(false);
    const mirror = { uri: "http://m.example/debian", checksValidUntil: true };
    expect(buildEnvironment(debianTesting, mirror, "/w", "/o")).toMatchObject({ CHECK_VALID_UNTIL: "true" });
  });
});
