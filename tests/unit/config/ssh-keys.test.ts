import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skippedSshKeys, sshKeysOrOwn, userSshKeys } from "../../../src/checkout/user-ssh-keys.ts";
import { readKeyFile } from "../../../src/config/public-key-file.ts";
import { parsePublicKey } from "../../../src/config/ssh-keys.ts";
import { blob, ed25519, file, messageOf, privateKey } from "./samples.ts";

const rsa = `ssh-rsa ${blob("ssh-rsa", Buffer.from([1, 0, 1]), Buffer.alloc(257, 1))}`;
const paste = "paste the whole line of a .pub file, e.g. of ~/.ssh/id_ed25519.pub";

describe("parsePublicKey", () => {
  it.each([ed25519, `  ${ed25519}\n`, rsa, `${rsa} a comment of several words`])("takes %j", (key) => {
    expect(parsePublicKey(key)).toBe(key.trim());
  });

  const damaged = `must be a whole key, but is cut off or damaged: ${paste}`;
  const secret =
    "must be a public key, but is a private key (not shown): paste the file that ends in .pub; if this stack file has left your machine, replace the key pair";
  const noType = `must begin with a key type: ${paste}; known types: ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com`;
  it.each([
    ["a private key", privateKey, secret],
    ["a private key of which the heading is lost", privateKey.split("\n")[1], secret],
    ["a private key in PuTTY's format", "PuTTY-User-Key-File-3: ssh-ed25519", secret],
    ["a key that is cut off", ed25519.slice(0, 60), damaged],
    ["a key without its base64", "ssh-ed25519", `must have base64 after ssh-ed25519: ${paste}`],
    ["a key with a hole", ed25519.replace("AAAA", "AA…A"), `must have base64 after ssh-ed25519: ${paste}`],
    [
      "a key of 31 bytes",
      `ssh-ed25519 ${blob("ssh-ed25519", Buffer.alloc(31))}`,
      `must hold 32 bytes of ed25519 key: ${paste}`,
    ],
    ["a key with a field too many", `ssh-ed25519 ${blob("ssh-ed25519", Buffer.alloc(32), "x")}`, damaged],
    [
      "a key of another type than it says",
      `ssh-ed25519 ${rsa.split(" ")[1]}`,
      `must hold what it says: its type is ssh-ed25519, inside is ssh-rsa: ${paste}`,
    ],
    [
      "something that is no key inside",
      `ssh-ed25519 ${blob("hunter2")}`,
      `must hold what it says: its type is ssh-ed25519, inside is something else: ${paste}`,
    ],
    ["two keys", `${ed25519}\n${rsa}`, `must be one key on one line: ${paste}`],
    ["base64 alone", ed25519.split(" ")[1], noType],
    ["a certificate", "ssh-ed25519-cert-v01@openssh.com AAAA", noType],
    ["a type that is retired", "ssh-dss AAAA", noType],
    ["a word of every object", "constructor AAAA", noType],
    ["nothing", " ", `must be an SSH public key: ${paste}`],
    ["a number", 5, `must be an SSH public key: ${paste}`],
  ])("refuses %s", (_, key, message) => {
    expect(messageOf(() => parsePublicKey(key))).toBe(message);
  });
});

describe("the user's own keys", () => {
  const home = mkdtempSync(join(tmpdir(), "project-vms-home-"));
  const empty = mkdtempSync(join(tmpdir(), "project-vms-home-"));
  const put = (name: string, text: string) => writeFileSync(join(home, ".ssh", name), text);
  beforeAll(() => {
    mkdirSync(join(home, ".ssh"));
    put("id_rsa.pub", `${rsa}\n`);
    put("id_ed25519.pub", `${ed25519}\n`);
    put("id_ed25519", privateKey);
    put("id_swapped.pub", privateKey);
    put("id_ed25519-cert.pub", "ssh-ed25519-cert-v01@openssh.com AAAA\n");
    put("other.pub", `${ed25519}\n`);
    mkdirSync(join(home, ".ssh", "id_folder.pub"));
  });
  afterAll(() => {
    for (const folder of [home, empty]) rmSync(folder, { recursive: true });
  });

  it("are the plain public keys of ~/.ssh/id_*.pub", () => {
    expect(userSshKeys(home)).toEqual([ed25519, rsa]);
    expect(userSshKeys(empty)).toEqual([]);
  });

  it("stand in for those of the config, with those of further files", () => {
    const more = join(empty, "made.pub");
    writeFileSync(more, ed25519.replace("me@laptop", "made"));
    expect(sshKeysOrOwn(undefined, file, [more], home)).toEqual([ed25519, rsa, ed25519.replace("me@laptop", "made")]);
    expect(sshKeysOrOwn(undefined, file, [join(home, "none.pub")], home)).toEqual([ed25519, rsa]);
    expect(sshKeysOrOwn([rsa], file, [more], home)).toEqual([rsa]);
  });

  it("are missed when there is no key at all", () => {
    expect(messageOf(() => sshKeysOrOwn(undefined, file, [], empty))).toBe(`\
Pulumi.local.yaml has 1 mistake. Nothing was created or changed.
  - Pulumi.local.yaml: sshKeys: is not set, and there is no public key in ${empty}/.ssh/id_*.pub to take in its place
    run \`ssh-keygen -t ed25519\`, or list a public key under \`project-vms:sshKeys\``);
  });
});

describe("a file of keys", () => {
  const other = ed25519.replace("me@laptop", "me@desktop");
  const [type, base64] = ed25519.split(" ");
  const rfc4716 = `---- BEGIN SSH2 PUBLIC KEY ----\r\nComment: "me@putty"\r\nSubject: a\\\r\n  long one\r\n${base64?.slice(0, 40)}\r\n${base64?.slice(40)}\r\n---- END SSH2 PUBLIC KEY ----\r\n`;

  it.each<[string, string | Buffer, string[]]>([
    ["two keys", `${ed25519}\n${rsa}\n`, [ed25519, rsa]],
    ["a comment first, and blank lines", `# mine\n\n${ed25519}\n`, [ed25519]],
    ["lines that end as on Windows", `${ed25519}\r\n${other}\r\n`, [ed25519, other]],
    ["a mark of UTF-8", `\ufeff${ed25519}\n`, [ed25519]],
    ["UTF-16", Buffer.from(`\ufeff${ed25519}\r\n`, "utf16le"), [ed25519]],
    ["UTF-16 without a mark", Buffer.from(ed25519, "utf16le"), [ed25519]],
    ["UTF-16, big end first", Buffer.from(`\ufeff${ed25519}`, "utf16le").swap16(), [ed25519]],
    ["a key as RFC 4716 has it", rfc4716, [`${type} ${base64} me@putty`]],
    ["a key as RFC 4716 has it, and another", `${rfc4716}${other}\n`, [`${type} ${base64} me@putty`, other]],
  ])("is taken with %s", (_, text, keys) => {
    expect(readKeyFile(Buffer.from(text))).toEqual({ keys, refused: [] });
  });

  it.each([
    ["options before the key", `from="10.0.0.0/8",no-pty ${ed25519}`, "has options before the key"],
    ["a certificate", "ssh-ed25519-cert-v01@openssh.com AAAA", "is a certificate"],
    ["a private key", privateKey, "is a private key (not shown)"],
    ["PEM", "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "is PEM"],
    ["nothing", "# to do\n", "holds no key"],
    [
      "RFC 4716 that is cut off",
      rfc4716.replace(String(base64?.slice(40)), ""),
      "must be a whole key, but is cut off or damaged",
    ],
  ])("is not taken with %s, and the reason is named", (_, text, rule) => {
    const { keys, refused } = readKeyFile(Buffer.from(text));
    expect([keys, refused.map((one) => one.rule)]).toEqual([[], [rule]]);
  });

  it("keeps its good keys where one is bad", () => {
    const { keys, refused } = readKeyFile(Buffer.from(`no-pty ${rsa}\n${ed25519}\n`));
    expect([keys, refused.length]).toEqual([[ed25519], 1]);
  });

  it("of the user's own that cannot be taken is named with its reason", () => {
    const home = mkdtempSync(join(tmpdir(), "project-vms-home-"));
    mkdirSync(join(home, ".ssh"));
    const put = (name: string, text: string) => writeFileSync(join(home, ".ssh", name), text);
    put("id_a.pub", `no-pty ${ed25519}\n`);
    put("id_a-cert.pub", "ssh-ed25519-cert-v01@openssh.com AAAA\n");
    try {
      expect(skippedSshKeys(home)).toEqual([
        `${home}/.ssh/id_a.pub: no key of it is given to VMs: it has options before the key: write the key without them into a file, or list it under \`project-vms:sshKeys\``,
      ]);
      const message = messageOf(() => sshKeysOrOwn(undefined, file, [], home));
      expect(message).toContain(`${home}/.ssh/id_a.pub: has options before the key`);
      expect(message).toContain(`${home}/.ssh/id_a-cert.pub: is a certificate`);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});

describe("keys of ssh-keygen", () => {
  const folder = mkdtempSync(join(tmpdir(), "project-vms-keys-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.skipIf(!hasSshKeygen()).each([["ed25519"], ["rsa"], ["ecdsa"]])("are taken: %s", (type) => {
    const key = join(folder, `id_${type}`);
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "me@laptop", "-f", key]);
    const [found] = userSshKeysIn(key);
    expect(found).toMatch(/me@laptop$/);
  });

  function userSshKeysIn(key: string): string[] {
    return sshKeysOrOwn(undefined, file, [`${key}.pub`], folder);
  }
});

function hasSshKeygen(): boolean {
  try {
    execFileSync("ssh-keygen", ["-?"], { stdio: "ignore" });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}
