import { InvalidValue, looksLikePrivateKey } from "../core/errors.ts";

/** The key types that OpenSSH accepts, with the number of fields that follow the type inside the key. */
const fieldsOfType: Record<string, number> = {
  "ssh-ed25519": 1,
  "ssh-rsa": 2,
  "ecdsa-sha2-nistp256": 2,
  "ecdsa-sha2-nistp384": 2,
  "ecdsa-sha2-nistp521": 2,
  "sk-ssh-ed25519@openssh.com": 2,
  "sk-ecdsa-sha2-nistp256@openssh.com": 3,
};

/**
 * Checks an SSH public key as it stands in a `.pub` file, down to the fields inside its base64, and returns it trimmed.
 *
 * @throws InvalidValue, always without the value: what is pasted in place of a public key may be a secret
 * @example parsePublicKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI… me@laptop")
 */
export function parsePublicKey(value: unknown): string {
  if (typeof value !== "string" || value.trim() === "") {
    throw invalid("must be an SSH public key");
  }
  if (looksLikePrivateKey(value)) {
    throw new InvalidValue(
      "must be a public key, but is a private key (not shown)",
      "paste the file that ends in .pub; if this stack file has left your machine, replace the key pair",
      true,
    );
  }
  const key = value.trim();
  if (/[\r\n]/.test(key)) throw invalid("must be one key on one line");
  const [type = "", base64 = ""] = key.split(/\s+/);
  if (!Object.hasOwn(fieldsOfType, type)) {
    const known = Object.keys(fieldsOfType).join(", ");
    throw new InvalidValue("must begin with a key type", `${pasteRemedy}; known types: ${known}`, true);
  }
  checkBlob(type, base64);
  return key;
}

const pasteRemedy = "paste the whole line of a .pub file, e.g. of ~/.ssh/id_ed25519.pub";

function invalid(rule: string): InvalidValue {
  return new InvalidValue(rule, pasteRemedy, true);
}

function checkBlob(type: string, base64: string): void {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw invalid(`must have base64 after ${type}`);
  const fields = splitFields(Buffer.from(base64, "base64"));
  const innerType = fields?.[0]?.toString("latin1");
  if (!fields || innerType === undefined) throw invalid("must be a whole key, but is cut off or damaged");
  if (innerType !== type) {
    // The inner type is named only if it is one: else it would be a piece of whatever was pasted.
    const inner = Object.hasOwn(fieldsOfType, innerType) ? innerType : "something else";
    throw invalid(`must hold what it says: its type is ${type}, inside is ${inner}`);
  }
  if (fields.length - 1 !== fieldsOfType[type]) throw invalid("must be a whole key, but is cut off or damaged");
  if (type === "ssh-ed25519" && fields[1]?.length !== 32) throw invalid("must hold 32 bytes of ed25519 key");
}

/** The fields of an SSH wire format blob (each with its length before it); undefined if they do not come out even. */
function splitFields(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let offset = 0;
  while (offset < blob.length) {
    if (offset + 4 > blob.length) return undefined;
    const end = offset + 4 + blob.readUInt32BE(offset);
    if (end > blob.length) return undefined;
    fields.push(blob.subarray(offset + 4, end));
    offset = end;
  }
  return fields;
}
