import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { prepareCheckout } from "../../../src/checkout/checkout.ts";
import { cutOffSalt, dropSalts, saltedFiles, wrongPassphrase } from "../../../src/checkout/passphrase.ts";

/** As a full disk has it, or a kill: the file is made, but nothing gets into it; and what else happens once a passphrase was read. */
const disk = vi.hoisted(() => ({ isFull: false, afterRead: undefined as (() => void) | undefined }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const writeFile: typeof fs.writeFileSync = (file, text, options) => {
    if (!disk.isFull) return fs.writeFileSync(file, text, options);
    fs.writeFileSync(file, "", options);
    throw new Error("ENOSPC: no space left on device");
  };
  const readFile = (...args: Parameters<typeof fs.readFileSync>) => {
    const text = fs.readFileSync(...args);
    const { afterRead } = disk;
    if (afterRead && String(args[0]).endsWith("/passphrase")) {
      disk.afterRead = undefined;
      afterRead();
    }
    return text;
  };
  return { ...fs, writeFileSync: writeFile, readFileSync: readFile };
});

let root: string;
beforeEach(() => {
  disk.isFull = false;
  disk.afterRead = undefined;
  root = mkdtempSync(path.join(tmpdir(), "passphrase-"));
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
  writeFileSync(
    path.join(root, "Pulumi.yaml"),
    "name: project-vms\nbackend: {url: 'file://./.local/state?metadata=skip'}\n",
  );
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});
const file = (stack: string) => path.join(root, `Pulumi.${stack}.yaml`);
const salt = "encryptionsalt: v1:94SQ5ONMMK8=:v1:hiEWA2BvNu4z0aFY:rlDjoJDtASd1jFX+6Lpk1LrnrNr/yA==\n";
const config = "# mine\nconfig:\n  project-vms:projects: {app: {}}\n";
const secret = "config:\n  tailscale:apiKey:\n    secure: v1:xyz\n";

test("a new passphrase takes salts of the one before out of stack files, but from none with secrets", () => {
  writeFileSync(file("local"), salt + config, { mode: 0o640 });
  writeFileSync(file("raider"), config + salt);
  writeFileSync(file("storage"), salt + secret);
  prepareCheckout(root);
  expect(["local", "raider", "storage"].map((stack) => readFileSync(file(stack), "utf8"))).toEqual([
    config,
    config,
    salt + secret,
  ]);
  expect(statSync(file("local")).mode & 0o777).toBe(0o640);
  expect(statSync(path.join(root, ".local/passphrase")).mode & 0o777).toBe(0o600);
});

test("a file of a salt alone is not left empty, which would be refused", () => {
  writeFileSync(file("local"), salt);
  prepareCheckout(root);
  expect(readFileSync(file("local"), "utf8")).toBe("config: {}\n");
});

test.each<[string, () => void]>([
  ["with its passphrase", () => prepareCheckout(root)],
  [
    "that has a state",
    () => mkdirSync(path.join(root, ".local/state/.pulumi/stacks/project-vms"), { recursive: true }),
  ],
  ["whose state is in another backend", () => vi.stubEnv("PULUMI_BACKEND_URL", "s3://bucket")],
])("the salts of a checkout %s stay", (_, arrange) => {
  arrange();
  writeFileSync(file("local"), salt + config);
  prepareCheckout(root);
  expect(readFileSync(file("local"), "utf8")).toBe(salt + config);
});

test("what is under a passphrase for another backend is left alone, and its user is told about the variables", () => {
  writeFileSync(file("local"), salt + config);
  expect(saltedFiles(root)).toMatchObject([{ name: "Pulumi.local.yaml", hasSecrets: false }]);
  vi.stubEnv("PULUMI_BACKEND_URL", "s3://bucket");
  dropSalts(root);
  expect(readFileSync(file("local"), "utf8")).toBe(salt + config);
  expect(saltedFiles(root)).toEqual([]);
  const [issue] = wrongPassphrase(root, "local", "error: incorrect passphrase")?.issues ?? [];
  expect(issue?.remedy).toMatch(/^export that one as PULUMI_CONFIG_PASSPHRASE, or /);
  expect(wrongPassphrase(root, "local", "error: no such stack")).toBeUndefined();
});

describe("a salt that a full disk has cut off is told with what to do", () => {
  const told = `The stack local cannot be opened.
  - Pulumi.local.yaml: encryptionsalt: must be whole, but is cut off, as a full disk leaves it
    where Pulumi.local.yaml has no values with \`secure:\`, take that line out: the engine notes another one; else put it back, from your own copy or, where git keeps it, by \`git checkout -- Pulumi.local.yaml\``;
  const whole = "encryptionsalt: v1:94SQ5ONMMK8=:v1:hiEWA2BvNu4z0aFY:rlDjoJDtASd1jFX+6Lpk1LrnrNr/yA==";
  const explained = (text: string, said: string) => {
    writeFileSync(path.join(root, "Pulumi.local.yaml"), text);
    return wrongPassphrase(root, "local", `error: getting stack configuration: get stack secrets manager: ${said}`)
      ?.message;
  };

  // As the engine has it: behind the second colon it opens what is there of it.
  test.each([
    [18, "malformed state value"],
    [31, "malformed state value"],
    [34, "incorrect passphrase"],
    [60, "incorrect passphrase"],
    [whole.length - 1, "incorrect passphrase"],
  ])("behind %d characters, where the engine says %s", (length, said) => {
    expect(explained(`${config}${whole.slice(0, length)}`, said)).toBe(told);
    expect(cutOffSalt(root, "local")?.message).toBe(told);
  });

  test("in quotes", () => {
    expect(explained(`${config}${whole.slice(0, 60).replace("v1", '"v1')}`, "incorrect passphrase")).toBe(told);
  });

  test.each([
    `${whole}\n`,
    `${whole} # mine\n`,
    `${whole.replace(/v1.*/, '"$&"')}\n`,
    `${whole}\r\n${config}`,
    "",
    "encryptionsalt: v2:something else\n",
  ])("none is that is whole, or not known (%j)", (text) => {
    expect(explained(text, "incorrect passphrase")).toContain("must be of the passphrase that is used here");
    expect(cutOffSalt(root, "local")).toBeUndefined();
  });
});

const passphrase = () => readFileSync(path.join(root, ".local/passphrase"), "utf8");
const real = /^[\w-]{32}$/;

test("a passphrase is written whole or not at all", () => {
  mkdirSync(path.join(root, ".local"));
  disk.isFull = true;
  expect(() => prepareCheckout(root)).toThrow("no space left");
  expect(readdirSync(path.join(root, ".local"))).toEqual(["state"]);
  disk.isFull = false;
  prepareCheckout(root);
  expect(passphrase()).toMatch(real);
  const before = passphrase();
  prepareCheckout(root);
  expect(passphrase()).toBe(before);
  expect(readdirSync(path.join(root, ".local")).sort()).toEqual(["passphrase", "state"]);
});

describe("a passphrase that is empty, as a kill may have left it,", () => {
  beforeEach(() => {
    mkdirSync(path.join(root, ".local"));
    writeFileSync(path.join(root, ".local/passphrase"), "\n");
  });

  test("is made again while nothing is encrypted", () => {
    writeFileSync(file("local"), salt + config);
    prepareCheckout(root);
    expect(passphrase()).toMatch(real);
    expect(statSync(path.join(root, ".local/passphrase")).mode & 0o777).toBe(0o600);
    expect(readFileSync(file("local"), "utf8")).toBe(config);
  });

  test("is made again once, by whichever of two processes is first", () => {
    let first = "";
    disk.afterRead = () => {
      prepareCheckout(root);
      first = passphrase();
    };
    prepareCheckout(root);
    expect(first).toMatch(real);
    expect(passphrase()).toBe(first);
    expect(readdirSync(path.join(root, ".local")).sort()).toEqual(["passphrase", "state"]);
  });

  test("stays where a disk is full", () => {
    disk.isFull = true;
    expect(() => prepareCheckout(root)).toThrow("no space left");
    expect(readdirSync(path.join(root, ".local")).sort()).toEqual(["passphrase", "state"]);
    expect(passphrase()).toBe("\n");
  });

  test.each<[string, () => void]>([
    ["a state", () => mkdirSync(path.join(root, ".local/state/.pulumi/stacks"), { recursive: true })],
    ["a stack's secrets", () => writeFileSync(file("storage"), salt + secret)],
    ["a state in another folder", () => vi.stubEnv("PULUMI_BACKEND_URL", `file://${path.join(root, "elsewhere")}`)],
    ["a state in another backend", () => vi.stubEnv("PULUMI_BACKEND_URL", "s3://bucket")],
  ])("stays where it may have encrypted %s", (_, arrange) => {
    arrange();
    prepareCheckout(root);
    expect(passphrase()).toBe("\n");
  });
});
