import { InvalidValue, looksLikePrivateKey } from "../core/errors.ts";
import { parsePublicKey } from "./ssh-keys.ts";

/** What a file holds that should hold public keys. */
export interface KeyFile {
  keys: string[];
  /** What of it cannot be taken; the values are not in there, for they may be secrets. */
  refused: InvalidValue[];
}

/**
 * The public keys in a file: one a line, between comments, or as RFC 4716 has them. Pure.
 *
 * @example readKeyFile(readFileSync("/home/me/.ssh/id_ed25519.pub")).keys
 */
export function readKeyFile(bytes: Buffer): KeyFile {
  const text = decode(bytes);
  if (looksLikePrivateKey(text))
    return refused("is a private key (not shown)", "replace it by the public one: ssh-keygen -y");
  if (/^-----BEGIN /m.test(text)) return refused("is PEM", "convert it: ssh-keygen -i -m PKCS8 -f <file>");
  const lines = withoutRfc4716(text).split(/\r?\n|\r/);
  const written = lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  if (written.length === 0) return refused("holds no key", "remove it, or recreate it: ssh-keygen -y -f <private key>");
  const read = written.map(readLine);
  return {
    keys: read.filter((one) => typeof one === "string"),
    refused: read.filter((one) => one instanceof InvalidValue),
  };
}

/** PowerShell writes UTF-16; each editor its own mark. */
function decode(bytes: Buffer): string {
  const [first, second] = bytes;
  const isBig = first === 0xfe && second === 0xff;
  const isLittle = (first === 0xff && second === 0xfe) || (second === 0 && first !== 0);
  return new TextDecoder(isBig ? "utf-16be" : isLittle ? "utf-16le" : "utf-8").decode(bytes);
}

/** `---- BEGIN SSH2 PUBLIC KEY ----`, as PuTTY and commercial SSH write it, as a line. A header that ends in `\` continues. */
function withoutRfc4716(text: string): string {
  const block = /^---- BEGIN SSH2 PUBLIC KEY ----\s*([\s\S]*?)---- END SSH2 PUBLIC KEY ----/gm;
  return text.replace(block, (_, inside: string) => {
    const lines = inside.replace(/\\\r?\n/g, "").split(/\r?\n|\r/);
    const base64 = lines
      .filter((line) => !line.includes(":"))
      .join("")
      .trim();
    const comment = lines.flatMap((line) => /^Comment:\s*"?([^"]*)/i.exec(line)?.[1]?.trim() ?? []);
    return [typeOf(base64), base64, ...comment].join(" ");
  });
}

/** The type that stands first inside a key. */
function typeOf(base64: string): string {
  const blob = Buffer.from(base64, "base64");
  return blob.length < 4
    ? ""
    : blob
        .subarray(4, 4 + blob.readUInt32BE(0))
        .toString("latin1")
        .replace(/[^\w@.-]/g, "");
}

function readLine(line: string): string | InvalidValue {
  const [first = ""] = line.split(/\s+/);
  if (/-cert-v\d+@openssh\.com$/.test(first))
    return invalid("is a certificate", "the key that it certifies is in the .pub file beside it");
  try {
    return parsePublicKey(line);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    // Without them the key could do more than it is meant to.
    if (/(?:^|\s)(?:ssh|ecdsa|sk)-\S+\s+AAAA/.test(line) && !/^(?:ssh|ecdsa|sk)-/.test(line)) {
      return invalid(
        "has options before the key",
        "write the key without them into a file, or list it under `project-vms:sshKeys`",
      );
    }
    return error;
  }
}

const invalid = (rule: string, remedy: string) => new InvalidValue(rule, remedy, true);
const refused = (rule: string, remedy: string): KeyFile => ({ keys: [], refused: [invalid(rule, remedy)] });
